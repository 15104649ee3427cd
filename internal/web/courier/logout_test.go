package courier_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/logout"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/web/courier"
	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

// A rig is a store with a client, an application that answers with the statuses it
// is given, and an outbox between them.
type rig struct {
	t        *testing.T
	store    *memory.Store
	outbox   *outbox.Outbox
	key      *jose.Key
	noKey    bool
	app      *receiver
	now      time.Time
	mu       sync.Mutex
	statuses []int // of the next answers; then 200
	tokens   []string
}

func newRig(t *testing.T, issuer string) *rig {
	t.Helper()
	key, err := jose.Generate(jose.RS256, "k1")
	check(t, err)
	g := &rig{t: t, store: memory.New(), key: key, now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
	r, pool := newReceiver(t, g.answer)
	g.app = r
	k := newCourier(t, courier.Config{Issuer: issuer, Roots: pool, Timeout: 5 * time.Second})
	clock := func() time.Time { return g.now }
	n, err := logout.New(logout.Config{
		Issuer: public, Clients: g.store, Post: k.Post, Now: clock, Signer: func() (*jose.Key, bool) { return g.key, !g.noKey },
	})
	check(t, err)
	g.outbox, err = outbox.New(outbox.Config{
		Queue: g.store, Log: g.store, Topics: []outbox.Topic{n}, Now: clock, Logger: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	g.client("web", r.URL+"/logout?x=1")
	check(t, g.outbox.Tick(t.Context()))
	return g
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (g *rig) client(id, uri string) {
	g.t.Helper()
	check(g.t, g.store.AddClient(g.t.Context(), client.Client{ID: id, Kind: client.Public, BackchannelLogoutURI: uri, Version: 1}, revoke.Effects{}))
}

func (g *rig) answer(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method != "POST" || r.URL.RequestURI() != "/logout?x=1" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		g.t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
	}
	if err := r.ParseForm(); err != nil || len(r.PostForm) != 1 {
		g.t.Errorf("form %v, %v", r.PostForm, err)
	}
	g.tokens = append(g.tokens, r.PostForm.Get("logout_token"))
	if len(g.statuses) > 0 {
		w.WriteHeader(g.statuses[0])
		g.statuses = g.statuses[1:]
	}
}

// end records that something has ended.
func (g *rig) end(e revoke.Entry) {
	g.t.Helper()
	e.At, e.KeepUntil = g.now, g.now.Add(25*time.Hour)
	_, err := g.store.Record(g.t.Context(), revoke.Effects{Revoke: []revoke.Entry{e}})
	check(g.t, err)
}

func (g *rig) tick() {
	g.t.Helper()
	check(g.t, g.outbox.Tick(g.t.Context()))
}

// got returns the tokens that arrived since the last call.
func (g *rig) got() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.tokens
	g.tokens = nil
	return all
}

func (g *rig) one() string {
	g.t.Helper()
	all := g.got()
	if len(all) != 1 {
		g.t.Fatalf("%d tokens arrived, want 1", len(all))
	}
	return all[0]
}

// party is a relying party, as strict as section 2.6 lets it be.
type party struct {
	key      *jose.Key
	issuer   string
	clientID string
	now      time.Time
	seen     map[string]bool
}

func (g *rig) party() party {
	return party{g.key.Public(), "https://auth.example", "web", g.now, map[string]bool{}}
}

// accept returns the user and the session to sign out, or why the token is refused.
func (p party) accept(token string) (sub, sid, refused string) {
	h, payload, err := jose.Verify(token, p.key)
	if err != nil {
		return "", "", "signature"
	}
	if h.Type != "logout+jwt" || h.Algorithm != jose.RS256 {
		return "", "", "header"
	}
	var c map[string]any
	if json.Unmarshal(payload, &c) != nil {
		return "", "", "payload"
	}
	iat, _ := c["iat"].(float64)
	exp, _ := c["exp"].(float64)
	events, _ := c["events"].(map[string]any)
	event, isObject := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	jti, _ := c["jti"].(string)
	sub, _ = c["sub"].(string)
	sid, _ = c["sid"].(string)
	_, nonce := c["nonce"]
	unix := float64(p.now.Unix())
	switch {
	case c["iss"] != p.issuer:
		return "", "", "issuer"
	case c["aud"] != p.clientID:
		return "", "", "audience"
	case iat > unix || exp <= unix || exp-iat > 120:
		return "", "", "time"
	case len(events) != 1 || !isObject || len(event) != 0:
		return "", "", "events"
	case nonce:
		return "", "", "nonce"
	case sub == "" && sid == "":
		return "", "", "nobody"
	case jti == "" || p.seen[jti]:
		return "", "", "replay"
	}
	p.seen[jti] = true
	return sub, sid, ""
}

func TestApplicationIsToldThatASessionHasEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		entry    revoke.Entry
		sub, sid string
		told     bool
	}{
		{"session", revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"other", "web"}}, "usr_1", "ses_1", true},
		{"session of nobody known", revoke.Entry{Kind: revoke.Session, Key: "ses_1", Clients: []string{"web"}}, "", "ses_1", true},
		{"user", revoke.Entry{Kind: revoke.User, Key: "usr_1", Clients: []string{"web"}}, "usr_1", "", true},
		{"session of others", revoke.Entry{Kind: revoke.Session, Key: "ses_1", Clients: []string{"quiet", "gone"}}, "", "", false},
		{"grant", revoke.Entry{Kind: revoke.Grant, Key: "gra_1", Subject: "usr_1", Clients: []string{"web"}}, "", "", false},
		{"token", revoke.Entry{Kind: revoke.Token, Key: "tok_1", Clients: []string{"web"}}, "", "", false},
		{"claims", revoke.Entry{Kind: revoke.Claims, Key: "usr_1", Clients: []string{"web"}}, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, local)
			g.client("quiet", "")
			g.end(c.entry)
			g.tick()
			if !c.told {
				if all := g.got(); len(all) > 0 {
					t.Fatalf("told %q", all)
				}
				return
			}
			sub, sid, refused := g.party().accept(g.one())
			if refused != "" || sub != c.sub || sid != c.sid {
				t.Errorf("got user %q, session %q, refused %q", sub, sid, refused)
			}
		})
	}
}

// The store knows who had a part in a session: nobody has to say it.
func TestEndOfARealSessionReachesItsClient(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	one := session.Session{ID: "ses_1", UserID: "usr_1", ClientID: "web", IdleUntil: g.now.Add(time.Hour), ExpiresAt: g.now.Add(time.Hour)}
	check(t, g.store.StartSession(t.Context(), one, revoke.Effects{}))
	g.end(revoke.Entry{Kind: revoke.User, Key: "usr_1", Reason: "password"})
	g.tick()
	if sub, _, refused := g.party().accept(g.one()); sub != "usr_1" || refused != "" {
		t.Errorf("got user %q, refused %q", sub, refused)
	}
}

func TestLogoutTokenIsGoodForOneClientForTwoMinutesAndForNothingElse(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
	g.tick()
	token := g.one()
	refusal := func(change func(*party)) string {
		p := g.party()
		change(&p)
		_, _, why := p.accept(token)
		return why
	}
	other, err := jose.Generate(jose.RS256, "k1")
	check(t, err)
	for want, change := range map[string]func(*party){
		"":          func(*party) {},
		"signature": func(p *party) { p.key = other },
		"issuer":    func(p *party) { p.issuer = "https://auth.test" },
		"audience":  func(p *party) { p.clientID = "app" },
		"time":      func(p *party) { p.now = p.now.Add(2 * time.Minute) },
	} {
		if why := refusal(change); why != want {
			t.Errorf("refused for %q, want %q", why, want)
		}
	}
	if why := refusal(func(p *party) { p.now = p.now.Add(2*time.Minute - time.Second) }); why != "" {
		t.Errorf("in its last second: refused for %q", why)
	}
	p := g.party()
	_, _, first := p.accept(token)
	if _, _, again := p.accept(token); first != "" || again != "replay" {
		t.Errorf("first %q, again %q", first, again)
	}
	// JWT-053: a token of one kind where another belongs.
	v, err := verify.New(verify.Config{
		Issuer: public, Audience: "web", Algorithms: []jose.Algorithm{jose.RS256}, Keys: verify.StaticKeys(g.party().key), Stale: verify.Open, Now: func() time.Time { return g.now },
	})
	check(t, err)
	if _, err := v.Token(t.Context(), token); !errors.Is(err, verify.ErrType) {
		t.Error("it passes for an access token")
	}
}

func TestApplicationThatIsDownIsTriedUntilItIsThere(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	g.statuses = []int{500, 302, 429, 204}
	g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
	p := g.party()
	for attempt := range 4 {
		g.tick()
		p.now = g.now
		if sub, _, refused := p.accept(g.one()); sub != "usr_1" || refused != "" { // a party that remembers ids must not refuse the next attempt
			t.Errorf("attempt %d: user %q, refused for %q", attempt, sub, refused)
		}
		g.now = g.now.Add(time.Hour)
	}
	g.tick()
	if all := g.got(); len(all) > 0 {
		t.Errorf("told again after it said yes: %q", all)
	}
}

func TestApplicationThatRefusesIsAskedThreeTimes(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	g.statuses = []int{400, 400, 400, 400}
	g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
	for range 6 {
		g.tick()
		g.now = g.now.Add(time.Hour)
	}
	if all := g.got(); len(all) != 3 {
		t.Errorf("asked %d times", len(all))
	}
	list, err := g.store.Messages(t.Context(), outbox.Which{State: outbox.GivenUp, Limit: 10})
	check(t, err)
	if len(list) != 1 || !strings.Contains(list[0].Problem, "400") {
		t.Errorf("given up: %+v", list)
	}
}

// ADMIN-009
func TestApplicationInsideOurNetworkIsNotTold(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]int64{local: 1, public: 0} {
		g := newRig(t, issuer)
		g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
		g.tick()
		if got := g.app.got.Load(); got != want {
			t.Errorf("issuer %s: %d letters arrived, want %d", issuer, got, want)
		}
	}
}

func TestWithoutAKeyNothingIsSentAndNothingLost(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	g.noKey = true
	g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
	g.tick()
	if all := g.got(); len(all) > 0 {
		t.Errorf("sent %q", all)
	}
	g.noKey, g.now = false, g.now.Add(time.Minute)
	g.tick()
	g.one()
}

func TestClientThatLeavesIsNotToldAnyMore(t *testing.T) {
	t.Parallel()
	g := newRig(t, local)
	g.statuses = []int{500}
	g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: "usr_1", Clients: []string{"web"}})
	g.tick()
	g.one()
	c, _, err := g.store.ClientByID(t.Context(), "web")
	check(t, err)
	c.Disabled = true
	if ok, err := g.store.ChangeClient(t.Context(), c, revoke.Effects{}); !ok || err != nil {
		t.Fatalf("disable: %v, %v", ok, err)
	}
	g.now = g.now.Add(time.Minute)
	g.tick()
	list, err := g.store.Messages(t.Context(), outbox.Which{Limit: 10})
	check(t, err)
	if all := g.got(); len(all) > 0 || len(list) > 0 {
		t.Errorf("told %q, left %+v", all, list)
	}
}
