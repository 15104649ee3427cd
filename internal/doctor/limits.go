package doctor

import (
	"context"
	"net/http"
	"strings"
	"time"
)

func (x *exam) checkHealth(ctx context.Context) finding {
	a := x.get(ctx, "/healthz")
	if a.err != nil || a.status != http.StatusOK || !strings.Contains(string(a.body), `"ok"`) {
		return unexpected("/healthz", a)
	}
	return fine("%s", a)
}

func (x *exam) checkReady(ctx context.Context) finding {
	a := x.get(ctx, "/readyz")
	switch {
	case a.status == http.StatusServiceUnavailable && strings.Contains(string(a.body), `"not ready"`):
		return wrong("Wafer's log says why, in the line \"not ready\": is the disk full, or gone?", "Wafer runs, but its database does not answer.")
	case a.err != nil || a.status != http.StatusOK || !strings.Contains(string(a.body), `"ready"`):
		return unexpected("/readyz", a)
	}
	return fine("%s", a)
}

const (
	smallBody = 60 << 10 // arrives
	largeBody = 65 << 10 // is refused: Wafer takes 64 KiB
)

// checkBodies posts a member that no body has, so that Wafer refuses it before it
// looks at anything else: nothing is tried, nothing is counted.
func (x *exam) checkBodies(ctx context.Context) finding {
	post := func(size int) answer {
		const open, shut = `{"padding":"`, `"}`
		body := open + strings.Repeat("x", size-len(open)-len(shut)) + shut
		return x.ask(ctx, question{method: http.MethodPost, path: "/session", header: x.script(), body: body})
	}
	const fix = "Let the proxy take bodies of 2 MiB, as wafer apply sends them (nginx: client_max_body_size 2m)."
	small := post(smallBody)
	switch {
	case small.err == nil && small.status == http.StatusRequestEntityTooLarge && small.code() == "":
		return wrong(fix, "The proxy refuses a body of %d KiB.", smallBody>>10)
	case small.code() == "":
		return unexpected("POST /session", small)
	}
	large := post(largeBody)
	switch {
	case large.refusal(http.StatusRequestEntityTooLarge, "too_large"):
		return fine("%d KiB arrive, %d KiB are refused by Wafer.", smallBody>>10, largeBody>>10)
	case large.err == nil && large.status == http.StatusRequestEntityTooLarge:
		return doubt(fix, "A body of %d KiB is refused by the proxy, in words that no client of Wafer's reads.", largeBody>>10)
	case large.status == http.StatusBadGateway && large.code() == "":
		return doubt("Wafer refuses before it has read all, and a proxy that closes the connection after every request may miss that "+
			"(nginx: proxy_http_version 1.1; proxy_set_header Connection \"\";).", "Wafer's answer to a body of %d KiB is lost: %s.", largeBody>>10, large)
	}
	return unexpected("POST /session with a large body", large)
}

// checkRoom sends as many cookies of others as one host often has.
func (x *exam) checkRoom(ctx context.Context) finding {
	const size = 7000
	a := x.ask(ctx, question{path: "/session", header: http.Header{"Cookie": {"other=" + strings.Repeat("x", size)}}})
	if a.code() != "" {
		return fine("%d bytes of them do no harm.", size)
	}
	return doubt("Let the proxy take headers of 8 KiB and more (nginx: large_client_header_buffers 4 16k).", "With %d bytes of other cookies: %s.", size, a)
}

func (x *exam) checkTrace(ctx context.Context) finding {
	a := x.ask(ctx, question{method: http.MethodTrace, path: "/healthz"})
	if a.err == nil && a.status < 400 {
		return wrong("Switch it off in the proxy (Apache: TraceEnable off): it shows a script the cookies that it may not see.", "TRACE is answered with %d.", a.status)
	}
	return fine("%s", a)
}

// The most that two clocks may differ.
const (
	littleSkew = 5 * time.Second
	muchSkew   = time.Minute
)

func (x *exam) checkDate(ctx context.Context) finding {
	before := x.Now()
	a := x.get(ctx, "/healthz")
	after := x.Now()
	if a.err != nil {
		return unexpected("/healthz", a)
	}
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return doubt("Let the proxy pass the Date header on, or set one.", "The answer has no date: %s.", quote(a.header.Get("Date")))
	}
	return skew("the server's, or its proxy's,", date, [2]time.Time{before, after})
}

func (x *exam) checkSignInTime(context.Context) finding {
	if x.seat.at.IsZero() {
		return skipped("The cookie does not work; see cookie.back.")
	}
	return skew("Wafer's", x.seat.at, x.seat.between)
}

// skew judges a time in whole seconds that was taken between two of ours.
func skew(whose string, theirs time.Time, between [2]time.Time) finding {
	off, way := time.Duration(0), ""
	if d := between[0].Truncate(time.Second).Sub(theirs); d > 0 {
		off, way = d, "behind"
	}
	if d := theirs.Sub(between[1]); d > 0 {
		off, way = d, "ahead of"
	}
	off = off.Round(time.Second)
	const fix = "Set both clocks by NTP (timedatectl set-ntp true). Tokens are judged by the clock of the service that checks them."
	switch {
	case off > muchSkew:
		return wrong(fix, "The clock here and %s differ: theirs is %s %s ours. Fresh tokens are refused.", whose, off, way)
	case off > littleSkew:
		return doubt(fix, "The clock here and %s differ: theirs is %s %s ours.", whose, off, way)
	}
	return fine("They differ by %s at most.", off+time.Second)
}
