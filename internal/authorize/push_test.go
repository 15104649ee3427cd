package authorize_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/oidc"
)

func (h *house) push(clientID string, p authorize.Params) string {
	h.t.Helper()
	got, err := h.Push(h.t.Context(), h.client(clientID), p, "")
	must(h.t, err)
	if !strings.HasPrefix(got.RequestURI, "urn:ietf:params:oauth:request_uri:") || len(got.RequestURI) < 34+43 || got.ExpiresIn < 60 || got.ExpiresIn > 90 {
		h.t.Errorf("pushed %+v", got)
	}
	return got.RequestURI
}

// bring is what a browser brings of a pushed request.
func bring(clientID, uri string) authorize.Params {
	return authorize.Params{"client_id": {clientID}, "request_uri": {uri}, "redirect_uri": {back}, "state": {"the state"}}
}

func TestPushedRequestIsGoodUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	uri := h.push("rp1", ask("client_id", "-", "nonce", "pushed"))
	first := h.fine(bring("rp1", uri))
	again := h.fine(bring("rp1", uri)) // somebody reloads
	if first.Nonce != "pushed" || first.Pushed.IsZero() || first.State != "the state" {
		t.Errorf("read %+v", first)
	}
	code := h.allowed(first, w)
	if got := h.nonce("rp1", code); got != "pushed" {
		t.Errorf("nonce %q", got)
	}
	_, err := h.read(bring("rp1", uri))
	told(t, "used", err, oidc.InvalidRequestURI)
	if _, err := h.Decide(t.Context(), again, w); err == nil {
		t.Error("the other tab got an answer too")
	}
}

func TestPushedRequestEndsWithAnErrorAnswerToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	uri := h.push("rp1", ask("prompt", "none"))
	refused(t, "prompt=none", h.answered(h.fine(bring("rp1", uri)), w), oidc.ConsentRequired)
	_, err := h.read(bring("rp1", uri))
	told(t, "after the error", err, oidc.InvalidRequestURI)

	uri = h.push("rp1", ask())
	d := h.decide(h.fine(bring("rp1", uri)), w)
	a, err := h.Deny(t.Context(), d.Step, w)
	must(t, err)
	refused(t, "denied", a, oidc.AccessDenied)
	_, err = h.read(bring("rp1", uri))
	told(t, "after the no", err, oidc.InvalidRequestURI)
	if _, err := h.Allow(t.Context(), d.Step, w); err == nil {
		t.Error("yes after no")
	}
}

func TestPushedRequestsAnswersRaceForOneCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.signIn(h.ada)
	d := h.decide(h.fine(bring("rp1", h.push("rp1", ask()))), w)
	var mu sync.Mutex
	var all sync.WaitGroup
	codes := 0
	for range 50 {
		all.Go(func() {
			a, err := h.Allow(t.Context(), d.Step, w)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && value(a, "code") != "" {
				codes++
			}
		})
	}
	all.Wait()
	if codes != 1 {
		t.Errorf("%d codes from one pushed request", codes)
	}
}

func TestPushedRequestBelongsToItsClientAndToItsTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	uri := h.push("rp1", ask())
	_, err := h.read(authorize.Params{"client_id": {"rp2"}, "request_uri": {uri}, "redirect_uri": {"https://rp2.test/cb"}, "state": {"the state"}})
	told(t, "of another client", err, oidc.InvalidRequestURI)
	_, err = h.read(authorize.Params{"client_id": {"rp2"}, "request_uri": {uri}})
	shown(t, "of another client, without redirect_uri", err)
	h.fine(bring("rp1", uri))
	p := bring("rp1", uri)
	p["scope"], p["redirect_uri"] = []string{"openid users:write"}, []string{"https://evil.test/"}
	if r := h.fine(p); r.RedirectURI != back || strings.Join(r.Scopes, " ") != "openid profile" {
		t.Errorf("parameters beside request_uri count: %+v", r)
	}
	h.clock.forward(authorize.PushedFor - time.Second)
	late := h.fine(bring("rp1", uri))
	h.clock.forward(time.Second)
	_, err = h.read(bring("rp1", uri))
	told(t, "too late", err, oidc.InvalidRequestURI)
	// Who came in time has time to sign in, whoever tidies up meanwhile.
	h.clock.forward(5 * time.Minute)
	unused := h.push("rp1", ask())
	h.clock.forward(authorize.PushedFor + time.Second)
	if n, err := h.store.PurgeTickets(t.Context(), h.clock.now(), 100); err != nil || n != 1 {
		t.Errorf("%d tickets purged, %v: want the one that nobody brought (%s)", n, err, unused)
	}
	h.allowed(late, h.signIn(h.ada))
}

func TestPushRefusesWhatTheEndpointWould(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.client("rp1")
	for name, p := range map[string]authorize.Params{
		"request_uri": ask("request_uri", "urn:ietf:params:oauth:request_uri:x"), "redirect_uri": ask("redirect_uri", "https://evil.test/"),
		"client_id": ask("client_id", "rp2"), "no PKCE": ask("code_challenge", "-", "code_challenge_method", "-"), "scope": ask("scope", "users:write"),
		"response_type": ask("response_type", "token"), "plain": ask("code_challenge_method", "plain"),
	} {
		_, err := h.Push(t.Context(), c, p, "")
		var why *oidc.Error
		if !errors.As(err, &why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.push("rp1", ask())
}

func TestClientsThatMustPushDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := ask("client_id", "bank", "redirect_uri", "https://bank.test/cb")
	uri := h.push("bank", p)
	h.fine(authorize.Params{"client_id": {"bank"}, "request_uri": {uri}})
	_, err := h.read(p)
	told(t, "not pushed", err, oidc.InvalidRequest)
	delete(p, "redirect_uri")
	if _, err := h.Push(t.Context(), h.client("bank"), p, ""); err == nil {
		t.Error("FAPI 2.0 wants redirect_uri")
	}
}

// DPOP-009: the code of a pushed request is for the key that the push proved.
func TestDPOP009PushBindsTheCodeToItsKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	jkt, other := strings.Repeat("A", 43), strings.Repeat("B", 43)
	c := h.client("rp1")
	for _, given := range []string{"-", jkt} {
		got, err := h.Push(t.Context(), c, ask("dpop_jkt", given), jkt)
		must(t, err)
		if r := h.fine(bring("rp1", got.RequestURI)); r.JKT != jkt {
			t.Errorf("bound to %q", r.JKT)
		}
	}
	_, err := h.Push(t.Context(), c, ask("dpop_jkt", other), jkt)
	var why *oidc.Error
	if !errors.As(err, &why) || why.Code != oidc.InvalidDPoPProof {
		t.Errorf("two keys: %v", err)
	}
}

func TestPushedSignedRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	text := h.sign(h.key, objectType, h.claimsOf("bank", ask("redirect_uri", "https://bank.test/cb")))
	uri := h.push("bank", authorize.Params{"request": {text}})
	if r := h.fine(authorize.Params{"client_id": {"bank"}, "request_uri": {uri}}); r.RedirectURI != "https://bank.test/cb" {
		t.Errorf("read %+v", r)
	}
}
