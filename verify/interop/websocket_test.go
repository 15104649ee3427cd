package interop_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// Codes of this service for the end of a socket (RFC 6455 section 7.4.2).
const (
	closeRevoked = websocket.StatusCode(4401)
	closeStale   = websocket.StatusCode(4503)
)

// chat is behind auth.Require. It echoes, until the credential ends.
func chat(auth *httpauth.Auth) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// The origin was judged by auth.Require, for cookies; a bearer token comes from no page.
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return // it has answered
		}
		defer c.CloseNow()
		ctx, stop := auth.Stream(r)
		defer stop()
		// A context that ends in Read or Write breaks the connection, and nothing can be said any
		// more. Close breaks it too, when the goodbye is not taken within five seconds.
		open := context.WithoutCancel(ctx)
		bye := make(chan struct{})
		go func() {
			defer close(bye)
			<-ctx.Done()
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, verify.ErrRevoked), errors.Is(cause, verify.ErrExpired):
				_ = c.Close(closeRevoked, "signed out")
			case errors.Is(cause, verify.ErrStale):
				_ = c.Close(closeStale, "try again")
			}
		}()
		for {
			kind, text, err := c.Read(open)
			if err != nil || ctx.Err() != nil || c.Write(open, kind, text) != nil {
				stop()
				<-bye
				return
			}
		}
	}
}

// socketRig is a service with a WebSocket that people open with their cookie.
type socketRig struct {
	*testing.T
	issuer *verifytest.Issuer
	url    string
}

const page = "https://shop.example"

func newSocketRig(t *testing.T) *socketRig {
	t.Helper()
	g := &socketRig{T: t, issuer: verifytest.NewIssuer(t)}
	c := g.issuer.Config()
	c.Feed, c.Stale = g.issuer.Feed(), verify.Strict
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	auth := httpauth.New(v, httpauth.Options{Origins: []string{page}, Logger: slog.New(slog.DiscardHandler)})
	s := httptest.NewServer(auth.Require("chat")(chat(auth)))
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

func (g *socketRig) dial(h http.Header) (*websocket.Conn, int) {
	g.Helper()
	c, res, err := websocket.Dial(g.Context(), g.url, &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		if res == nil {
			g.Fatal(err)
		}
		return nil, res.StatusCode
	}
	g.Cleanup(func() { _ = c.CloseNow() })
	return c, res.StatusCode
}

// echoes wants a message back.
func (g *socketRig) echoes(c *websocket.Conn) {
	g.Helper()
	if err := c.Write(g.Context(), websocket.MessageText, []byte("hello")); err != nil {
		g.Fatal(err)
	}
	if _, text, err := c.Read(g.Context()); err != nil || string(text) != "hello" {
		g.Fatalf("got %q, %v", text, err)
	}
}

// closes waits for the goodbye.
func (g *socketRig) closes(c *websocket.Conn, want websocket.StatusCode) {
	g.Helper()
	ctx, stop := context.WithTimeout(g.Context(), 10*time.Second)
	defer stop()
	_, text, err := c.Read(ctx)
	if got := websocket.CloseStatus(err); got != want {
		g.Errorf("got %q, %v, want the code %d", text, err, want)
	}
}

func cookie(value, origin string) http.Header {
	h := http.Header{"Cookie": {verify.CookieName + "=" + value}}
	if origin != "" {
		h.Set("Origin", origin)
	}
	return h
}

// A socket ends with the session, and with the token, that opened it.
func TestWebSocketClosesUponRevocation(t *testing.T) {
	t.Parallel()
	g := newSocketRig(t)
	claims := func(sid string) []verifytest.Claim {
		return []verifytest.Claim{verifytest.Scope("chat"), verifytest.Set("sid", sid)}
	}
	token := g.issuer.Token(claims("ses_3")...)
	session := cookie(g.issuer.Session(claims("ses_1")...), page)
	for _, c := range []struct {
		name, revoke string
		header       http.Header
	}{
		{"session", "ses_1", session},
		{"token", token, http.Header{"Authorization": {"Bearer " + token}}},
	} {
		stays, _ := g.dial(cookie(g.issuer.Session(claims("ses_2")...), page))
		ends, status := g.dial(c.header)
		if ends == nil {
			t.Fatalf("%s: got %d", c.name, status)
		}
		g.echoes(ends)
		g.echoes(stays)
		g.issuer.Revoke(c.revoke)
		g.closes(ends, closeRevoked)
		if again, status := g.dial(c.header); again != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: opened again: got %d", c.name, status)
		}
		g.echoes(stays)
	}
}

// Under Strict nobody talks on while nobody knows what was revoked.
func TestWebSocketClosesWhenTheFeedIsCutOff(t *testing.T) {
	t.Parallel()
	g := newSocketRig(t)
	c, _ := g.dial(cookie(g.issuer.Session(verifytest.Scope("chat")), page))
	g.echoes(c)
	g.issuer.Fail()
	g.closes(c, closeStale)
}

// Cross-site WebSocket hijacking: another site's page opens a socket, and the browser sends the cookie along.
func TestCrossSiteWebSocketHijacking(t *testing.T) {
	t.Parallel()
	g := newSocketRig(t)
	session, token := g.issuer.Session(verifytest.Scope("chat")), g.issuer.Token(verifytest.Scope("chat"))
	opens := func(name string, h http.Header) {
		t.Helper()
		c, status := g.dial(h)
		if c == nil {
			t.Fatalf("%s: got %d", name, status)
		}
		g.echoes(c)
	}
	for _, origin := range []string{"https://evil.example", "null", page + ".evil.example", "http://shop.example"} {
		opens("a page of ours", cookie(session, page))
		opens("the service's own", cookie(session, g.url))
		if c, status := g.dial(cookie(session, origin)); c != nil || status != http.StatusForbidden {
			t.Errorf("%s: got %d, want 403", origin, status)
		}
		opens("a page of ours", cookie(session, page))
		opens("no page", http.Header{"Authorization": {"Bearer " + token}})
	}
	if c, status := g.dial(http.Header{"Origin": {page}}); c != nil || status != http.StatusUnauthorized {
		t.Errorf("without a credential: got %d, want 401", status)
	}
}
