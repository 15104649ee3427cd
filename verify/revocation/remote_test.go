package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/verify/revocation"
)

const registered = `{"verifier":"ver_1","ticket":"tick","lease_key":"AAAA","secret":"AAAA","epoch":1,"head":0,"renew_ms":250,"lease_ms":2000}`

// remote follows a server that answers everything with handle.
func remote(t *testing.T, handle http.HandlerFunc) *revocation.Remote {
	t.Helper()
	srv := httptest.NewServer(handle)
	t.Cleanup(srv.Close)
	return remoteAt(t, srv.URL, nil)
}

func remoteAt(t *testing.T, url string, client *http.Client) *revocation.Remote {
	t.Helper()
	r, err := revocation.NewRemote(revocation.Config{Issuer: url, ClientID: "orders", ClientSecret: "the secret", Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call makes one of the calls, and says whether it worked.
var calls = map[string]func(context.Context, *revocation.Remote) error{
	"keys": func(ctx context.Context, r *revocation.Remote) error { _, err := r.Keys(ctx); return err },
	"register": func(ctx context.Context, r *revocation.Remote) error {
		_, err := r.Register(ctx, revocation.Registration{})
		return err
	},
	"renew": func(ctx context.Context, r *revocation.Remote) error {
		_, err := r.Renew(ctx, "tick", revocation.Ask{})
		return err
	},
	"snapshot": func(ctx context.Context, r *revocation.Remote) error {
		_, err := r.Snapshot(ctx, "tick", revocation.Position{})
		return err
	},
	"leave": func(ctx context.Context, r *revocation.Remote) error { return r.Leave(ctx, "tick") },
	"follow": func(ctx context.Context, r *revocation.Remote) error {
		return r.Follow(ctx, "tick", revocation.Position{}, func(string, bool) error { return nil })
	},
}

func answers(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/feed/jwks.json":
		io.WriteString(w, `{"keys":[]}`)
	case "/feed/register":
		io.WriteString(w, registered)
	default:
		io.WriteString(w, "x")
	}
}

func TestRemoteCallsWhatTheyShould(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"keys": "GET /feed/jwks.json ", "register": "POST /feed/register Basic b3JkZXJzOnRoZStzZWNyZXQ=", "renew": "POST /feed/lease Bearer tick",
		"snapshot": "GET /feed/snapshot?least=0%3A0 Bearer tick", "leave": "DELETE /feed/register Bearer tick", "follow": "GET /feed/events?from=0%3A0 Bearer tick",
	}
	for name, call := range calls {
		got := ""
		r := remote(t, func(w http.ResponseWriter, q *http.Request) {
			got = q.Method + " " + q.URL.RequestURI() + " " + q.Header.Get("Authorization")
			answers(w, q)
		})
		if err := call(t.Context(), r); err != nil && !errors.Is(err, io.EOF) || got != want[name] {
			t.Errorf("%s: got %q %v, want %q", name, got, err, want[name])
		}
	}
}

// A secret or a ticket goes nowhere but where the configuration says.
func TestRemoteFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		answers(w, r)
	}))
	t.Cleanup(evil.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, call := range calls {
			r := remote(t, func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, evil.URL+q.URL.Path, status) })
			if err := call(t.Context(), r); err == nil || errors.Is(err, io.EOF) || errors.Is(err, revocation.ErrRefused) {
				t.Errorf("%s, status %d: got %v", name, status, err)
			}
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

func TestRemoteTellsRefusalsFromFailures(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]bool{400: false, 401: true, 403: true, 404: false, 429: false, 500: false, 503: false} {
		for name, call := range calls {
			r := remote(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			if err := call(t.Context(), r); err == nil || errors.Is(err, revocation.ErrRefused) != refused {
				t.Errorf("%s, status %d: got %v", name, status, err)
			}
		}
	}
}

// What is longer than it can be is not kept in memory to its end.
func TestRemoteTakesNoEndlessAnswer(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		if name == "snapshot" {
			continue // half a gigabyte is what the largest one takes
		}
		for _, line := range []string{strings.Repeat("x", 32<<10), "data: " + strings.Repeat("x", 32<<10)} {
			var sent atomic.Int64
			r := remote(t, func(w http.ResponseWriter, q *http.Request) {
				for q.Context().Err() == nil && sent.Load() < 1<<30 {
					n, err := io.WriteString(w, line)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			if err := call(t.Context(), r); err == nil {
				t.Errorf("%s took an answer without an end", name)
			}
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%s: %d bytes were read", name, n)
			}
		}
	}
}

// Answers that are no such thing are none, whatever they are called.
func TestRemoteTakesNoOtherAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "<html><body>Sign in</body></html>", "null", "[]", "{}", `"x"`, strings.Replace(registered, `"epoch":1`, `"epoch":"1"`, 1),
		strings.Replace(registered, `"ticket":"tick",`, "", 1), registered + registered, strings.Replace(registered, `"AAAA"`, `"%%"`, 1),
		strings.Replace(registered, `"head":0`, `"head":0,"head":1`, 1), strings.Repeat("[", 10_000),
	} {
		r := remote(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, body)
		})
		for _, name := range []string{"keys", "register"} {
			if err := calls[name](t.Context(), r); err == nil {
				t.Errorf("%s took %.60q", name, body)
			}
		}
	}
	if err := calls["register"](t.Context(), remote(t, answers)); err != nil {
		t.Errorf("a good registration: %v", err)
	}
}

// A whole feed that meets a page where its hub should be is never ready.
func TestFeedIsNotMadeReadyByAnotherSite(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/feed/register":
			io.WriteString(w, `{"verifier":"ver_1","ticket":"t","lease_key":"`+strings.Repeat("A", 42)+`A=","secret":"AAAAAAAAAAAAAAAAAAAAAA==","epoch":1,"head":0,"renew_ms":1,"lease_ms":2000}`)
		default:
			fmt.Fprint(w, "<html>welcome</html>")
		}
	}))
	t.Cleanup(srv.Close)
	f, err := revocation.New(revocation.Config{Issuer: srv.URL, ClientID: "orders", ClientSecret: "secret", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.Run(ctx); err != nil {
		t.Error(err)
	}
	if s := f.Stats(); isReady(f) || f.Fresh(time.Now()) || s.Registrations == 0 || s.Failures == 0 || s.Entries != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestRemoteReadsEvents(t *testing.T) {
	t.Parallel()
	type got struct {
		frame string
		eager bool
	}
	for name, c := range map[string]struct {
		stream string
		want   []got
	}{
		"frames":              {"id: 1:2\ndata: one\n\ndata: two\n\n", []got{{"one", false}, {"two", false}}},
		"eager":               {"event: eager\ndata: one\n\ndata: two\n\n", []got{{"one", true}, {"two", false}}},
		"line ends of DOS":    {"data: one\r\n\r\n", []got{{"one", false}}},
		"no space":            {"data:one\n\n", []got{{"one", false}}},
		"comments":            {": alive\n\n:\n\ndata: one\n\n", []got{{"one", false}}},
		"cut before its end":  {"data: one\n\ndata: two\n", []got{{"one", false}}},
		"an event of no data": {"event: frame\n\ndata: one\n\n", []got{{"one", false}}},
		"eager, of no frame":  {"event: eager\ndata: \n\ndata: one\n\n", []got{{"", true}, {"one", false}}},
		"a page":              {"<html>\n\n<body>data: x</body>\n\n", nil},
		"zeros":               {strings.Repeat("\x00", 5000) + "\n\n", nil},
		"nothing":             {"", nil},
	} {
		var all []got
		r := remote(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, c.stream) })
		err := r.Follow(t.Context(), "tick", revocation.Position{}, func(frame string, eager bool) error {
			all = append(all, got{frame, eager})
			return nil
		})
		if !errors.Is(err, io.EOF) || fmt.Sprint(all) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v %v", name, all, err)
		}
	}
}

func TestRemoteStopsWhenAFrameIsNotTaken(t *testing.T) {
	t.Parallel()
	r := remote(t, func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(w, "data: one\n\ndata: two\n\n")
		w.(http.Flusher).Flush()
		<-q.Context().Done()
	})
	n := 0
	err := r.Follow(t.Context(), "tick", revocation.Position{}, func(string, bool) error { n++; return errAway })
	if !errors.Is(err, errAway) || n != 1 {
		t.Errorf("got %v after %d frames", err, n)
	}
}

// pipes listens inside a bubble: the connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		p <- there
		return here, nil
	}}}
}

// A hub that hangs is given up: calls when their time is over, the stream when not
// even a heartbeat has come for long.
func TestRemoteGivesUpAHangingHub(t *testing.T) {
	t.Parallel()
	for name, lives := range map[string]time.Duration{"silent from the start": 0, "silent later": 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := make(pipes)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				for began := time.Now(); time.Since(began) < lives; {
					io.WriteString(w, ":\n\n")
					w.(http.Flusher).Flush()
					<-time.After(15 * time.Second)
				}
				<-q.Context().Done()
			})}
			go srv.Serve(p)
			client := p.client()
			r := remoteAt(t, "http://localhost", client)
			began := time.Now()
			if err := calls["follow"](t.Context(), r); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%s: got %v", name, err)
			}
			if took := time.Since(began); took < lives+30*time.Second || took > lives+time.Minute {
				t.Errorf("%s: given up after %v", name, took)
			}
			client.CloseIdleConnections()
			close(p)
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for name, call := range calls {
		r := remote(t, func(_ http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body) // only then does the server notice that nobody is there any more
			<-q.Context().Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := call(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
		cancel()
	}
}

func TestRemoteIsNotMadeOfHalfAConfiguration(t *testing.T) {
	t.Parallel()
	good := revocation.Config{Issuer: "https://id.example", ClientID: "orders", ClientSecret: "secret"}
	if _, err := revocation.NewRemote(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*revocation.Config){
		"no issuer": func(c *revocation.Config) { c.Issuer = "" }, "in the open": func(c *revocation.Config) { c.Issuer = "http://id.example" },
		"a relay in the open": func(c *revocation.Config) { c.URL = "http://10.0.0.1/feed" }, "no client": func(c *revocation.Config) { c.ClientID = "" },
		"no secret": func(c *revocation.Config) { c.ClientSecret = "" }, "a negative lease": func(c *revocation.Config) { c.MaxStale = -1 },
	} {
		c := good
		change(&c)
		if _, err := revocation.NewRemote(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
