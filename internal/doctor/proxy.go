package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
)

// forged is an address of nobody's (RFC 5737), sent as if a proxy had seen it.
const forged = "192.0.2.77"

const fixForwarded = "Let the proxy append or set the address that it saw itself (nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for), " +
	"and name with --trusted-proxy its own address only."

// checkForged sends what no proxy writes: a server that goes by it says that it
// cannot be read.
func (x *exam) checkForged(ctx context.Context) finding {
	a := x.ask(ctx, question{path: "/healthz", header: http.Header{"X-Forwarded-For": {"doctor"}}})
	switch {
	case a.err == nil && a.status == http.StatusOK:
		return fine("What a stranger writes there is ignored.")
	case a.refusal(http.StatusBadRequest, "invalid_request") && a.local == a.remote:
		return skipped("This machine is the proxy's, and so trusted: ask from another one.")
	case a.refusal(http.StatusBadRequest, "invalid_request"):
		return wrong(fixForwarded, "Wafer believes the X-Forwarded-For that a stranger sends: anybody can pick the address that is limited and logged.")
	}
	return unexpected("/healthz with X-Forwarded-For", a)
}

// checkLinks sends the headers by which other servers learn their own name.
func (x *exam) checkLinks(ctx context.Context) finding {
	const stranger = "stranger.invalid"
	h := navigation()
	for name, value := range map[string]string{
		"X-Forwarded-Host": stranger, "X-Forwarded-Server": stranger, "X-Forwarded-Proto": "http", "X-Forwarded-Port": "81",
		"X-Original-Host": stranger, "Forwarded": "host=" + stranger + ";proto=http",
	} {
		h.Set(name, value)
	}
	for _, path := range []string{metadataPath, "/login", "/account"} {
		usual := x.ask(ctx, question{path: path, header: navigation()})
		a := x.ask(ctx, question{path: path, header: h})
		if a.err != nil {
			return unexpected(path+" with X-Forwarded-Host", a)
		}
		where := a.header.Get("Location")
		named := strings.Contains(where, stranger) || strings.Contains(string(a.body), stranger) ||
			strings.Contains(strings.Join(a.header.Values("Set-Cookie"), " "), stranger)
		if named || where != usual.header.Get("Location") || a.status != usual.status {
			return wrong("Something before Wafer goes by these headers of a stranger's; Wafer does not. Let the proxy drop them "+
				"(nginx: proxy_set_header X-Forwarded-Host \"\") and build its redirects from a fixed name.",
				"%s changes with X-Forwarded-Host and -Proto: %s instead of %s.", path, a, usual)
		}
	}
	return fine("Nothing changes.")
}

// checkAddress looks at what the list of sessions says of the sign-in, which came
// with a forged address.
func (x *exam) checkAddress(ctx context.Context) finding {
	a := x.ask(ctx, question{path: "/sessions", header: x.signedIn()})
	if a.err != nil || a.status != http.StatusOK {
		return unexpected("/sessions", a)
	}
	var rows struct {
		Items []struct {
			ID      string
			Address string
		}
	}
	if err := json.Unmarshal(a.body, &rows); err != nil {
		return wrong("Let the proxy pass the answer on as it is.", "/sessions cannot be read: %s.", err)
	}
	for _, row := range rows.Items {
		if row.ID == x.seat.id {
			return x.judgeAddress(row.Address)
		}
	}
	return wrong("Are there several servers behind one name, with a database each?", "The session that was just begun is not in /sessions.")
}

// judgeAddress compares what the server saw with both ends of our connection. In
// between there may be a NAT, so another address than ours is no fault by itself.
func (x *exam) judgeAddress(text string) finding {
	seen, err := netip.ParseAddr(text)
	local, remote := x.seat.local, x.seat.remote
	private := func(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }
	switch {
	case err != nil:
		return wrong("Look into Wafer's log for the address of requests.", "The server noted no address.")
	case text == forged && local == remote:
		return skipped("This machine is the proxy's, and so trusted: ask from another one.")
	case text == forged:
		return wrong(fixForwarded, "Wafer believes the X-Forwarded-For that a stranger sends: the sign-in was noted at %s.", forged)
	case seen == local:
		return fine("%s, as it is.", seen)
	case seen == remote, private(seen) && !private(remote), seen.IsLoopback():
		return wrong("Start Wafer with --trusted-proxy "+netip.PrefixFrom(seen, seen.BitLen()).String()+", and let the proxy send the address that it saw "+
			"(nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for).",
			"Wafer takes the proxy, %s, for the caller: all people share one limit for wrong passwords, and no log tells them apart.", seen)
	}
	return fine("%s; ours is %s, so a NAT or another proxy is in between.", seen, local)
}
