package receiver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	issuer = "https://id.example"
	idp    = "https://idp.example"
	other  = "https://partner.example"
	secret = "what-the-transmitter-sends"

	sessionRevoked  = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	accountDisabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// house is a receiver over a memory store, with the rules of package admin behind
// it, two users, and four transmitters.
type house struct {
	*receiver.Service
	t        testing.TB
	clock    *clock
	store    *memory.Store
	keys     map[string]*jose.Key // of transmitters, by id
	ada, bob string
	jti      int
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, store: memory.New(), keys: map[string]*jose.Key{}}
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(t, err)
	rules := admin.New(admin.Config{Store: h.store, Issuer: issuer, Now: h.clock.now})
	h.Service = receiver.New(receiver.Config{
		Store: h.store, People: admin.People{In: h.store}, Revoke: rules.Obey, Secrets: root.Derive("secrets"), Issuer: issuer, Now: h.clock.now,
		Keys: h.find,
	})
	for login, id := range map[string]*string{"ada@example.com": &h.ada, "bob@elsewhere.example": &h.bob} {
		*id = opaque.ID(opaque.UserID, h.clock.now())
		must(t, h.store.AddUser(t.Context(), account.User{ID: *id, Login: login, Canonical: login}, revoke.Effects{}))
	}
	var all []receiver.Transmitter
	for _, one := range []receiver.Transmitter{
		{ID: "mail", Issuer: idp, Subjects: receiver.Subjects{By: receiver.ByEmail, Domains: []string{"example.com"}}},
		{ID: "ids", Issuer: idp, Audience: "https://id.example/events", Subjects: receiver.Subjects{By: receiver.BySub}},
		{ID: "partner", Issuer: other, Subjects: receiver.Subjects{By: receiver.ByIssSub, Users: map[string]string{"u-1": "Ada@Example.com"}}},
		{ID: "off", Issuer: idp, Subjects: receiver.Subjects{By: receiver.BySub}, Disabled: true},
	} {
		key, err := jose.Generate(jose.ES256, "key of "+one.ID)
		must(t, err)
		h.keys[one.ID] = key
		one.Secret = receiver.SecretCode(h.Secrets, one.ID, secret)
		if one.ID == "partner" { // from afar; the others from a file
			one.JWKSURI = other + "/jwks"
		} else {
			one.JWKS, err = json.Marshal(jose.KeySet{key.Public()})
			must(t, err)
		}
		must(t, one.Check())
		all = append(all, one)
	}
	text, err := receiver.Encode(all)
	must(t, err)
	done, err := h.store.ChangeSetting(t.Context(), receiver.Setting, "", text)
	must(t, err)
	if !done {
		t.Fatal("setting not written")
	}
	return h
}

func (h *house) find(_ context.Context, t receiver.Transmitter, kid string, alg jose.Algorithm) (*jose.Key, error) {
	key := h.keys[t.ID]
	switch {
	case key == nil:
		return nil, errors.New("cannot be reached")
	case key.ID() != kid || key.Algorithm() != alg:
		return nil, receiver.ErrNoKey
	}
	return key.Public(), nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// claims are those of a good event about ada, from the transmitter mail.
type claims map[string]any

func (h *house) claims() claims {
	h.jti++
	return claims{
		"iss": idp, "aud": issuer, "jti": fmt.Sprint("set-", h.jti), "iat": h.clock.now().Unix(),
		"sub_id": claims{"format": "email", "email": "ada@example.com"},
		"events": claims{sessionRevoked: claims{"event_timestamp": 1}},
	}
}

func (c claims) with(name string, value any) claims {
	next := maps.Clone(c)
	if next[name] = value; value == nil {
		delete(next, name)
	}
	return next
}

func sign(t testing.TB, key *jose.Key, typ string, c claims) string {
	t.Helper()
	body, err := json.Marshal(c)
	must(t, err)
	text, err := jose.Sign(key, jose.Header{Type: typ}, body)
	must(t, err)
	return text
}

func (h *house) send(id, token string) error {
	return h.Receive(h.t.Context(), receiver.Push{Transmitter: id, Secret: secret, Token: token})
}

// push sends claims, signed as they should be.
func (h *house) push(id string, c claims) error {
	h.t.Helper()
	return h.send(id, sign(h.t, h.keys[id], receiver.Type, c))
}

// signIn starts a session for a user.
func (h *house) signIn(user string) string {
	h.t.Helper()
	now := h.clock.now()
	s := session.Session{
		ID: opaque.ID(opaque.SessionID, now), Secret: opaque.Hash(opaque.Secret()), UserID: user, CreatedAt: now, IdleUntil: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	}
	must(h.t, h.store.StartSession(h.t.Context(), s, revoke.Effects{}))
	return s.ID
}

func (h *house) signedIn(sid string) bool {
	h.t.Helper()
	_, found, err := h.store.SessionByID(h.t.Context(), sid)
	must(h.t, err)
	return found
}

// ends fails unless a push is accepted and ends a session.
func (h *house) ends(what, sid string, push func() error) {
	h.t.Helper()
	if err := push(); err != nil || h.signedIn(sid) {
		h.t.Errorf("%s: still signed in, or %v", what, err)
	}
}

// spares fails unless a push is answered with code ("": accepted) and ends nothing.
func (h *house) spares(what, sid, code string, push func() error) {
	h.t.Helper()
	err := push()
	var refused *receiver.Error
	if errors.As(err, &refused); code == "" && err != nil || code != "" && (refused == nil || refused.Code != code) {
		h.t.Errorf("%s: answered %v, want %q", what, err, code)
	}
	if !h.signedIn(sid) {
		h.t.Errorf("%s: the session ended", what)
	}
}

func TestEventEndsTheSessionsOfWhomItNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	kept := h.signIn(h.bob)
	for _, tt := range []struct {
		name, id string
		claims   func(c claims) claims
	}{
		{"email", "mail", func(c claims) claims { return c }},
		{"email in another spelling", "mail", func(c claims) claims { return c.with("sub_id", claims{"format": "email", "email": "ADA@example.com"}) }},
		{"one of several audiences", "mail", func(c claims) claims { return c.with("aud", []string{"https://x.example", issuer}) }},
		{"account disabled", "mail", func(c claims) claims { return c.with("events", claims{accountDisabled: claims{"reason": "hijacking"}}) }},
		{"session of theirs", "mail", func(c claims) claims {
			return c.with("sub_id", claims{"format": "complex", "user": c["sub_id"], "session": claims{"format": "opaque", "id": "theirs"}})
		}},
		{"our id", "ids", func(c claims) claims {
			return c.with("aud", issuer+"/events").with("sub_id", claims{"format": "opaque", "id": h.ada})
		}},
		{"our issuer and id", "ids", func(c claims) claims {
			return c.with("aud", issuer+"/events").with("sub_id", claims{"format": "iss_sub", "iss": issuer, "sub": h.ada})
		}},
		{"their issuer and id", "partner", func(c claims) claims {
			return c.with("iss", other).with("sub_id", claims{"format": "iss_sub", "iss": other, "sub": "u-1"})
		}},
	} {
		sid := h.signIn(h.ada)
		h.ends(tt.name, sid, func() error { return h.push(tt.id, tt.claims(h.claims())) })
	}
	if !h.signedIn(kept) {
		t.Error("another user was signed out")
	}
	r, found, err := h.store.Covered(t.Context(), 0, []revoke.Ref{{Kind: revoke.User, Key: h.ada}})
	must(t, err)
	if !found || r.Reason != receiver.Reason {
		t.Errorf("entry %+v", r)
	}
}

func TestEventEndsOneSessionOfOurs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	about := func(user, sid string) func() error {
		return func() error {
			return h.push("ids", h.claims().with("aud", issuer+"/events").with("sub_id", claims{
				"format": "complex", "user": claims{"format": "opaque", "id": user}, "session": claims{"format": "opaque", "id": sid},
			}))
		}
	}
	one, two := h.signIn(h.ada), h.signIn(h.ada)
	h.ends("the named one", one, about(h.ada, one))
	h.spares("her other one, when bob's is meant", two, receiver.AccessDenied, about(h.bob, two))
	h.ends("the other", two, about(h.ada, two))
}

// Each case is preceded and followed by the event as it should be.
func TestForgedAndMisledEventsEndNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mail := h.keys["mail"]
	hmac, err := jose.NewKey(jose.HS256, mail.ID(), []byte(strings.Repeat("k", 32)))
	must(t, err)
	stranger, err := jose.Generate(jose.ES256, mail.ID())
	must(t, err)
	nameless, err := jose.Generate(jose.ES256, "")
	must(t, err)
	event := func(change func(claims) claims) func() error {
		return func() error { return h.push("mail", change(h.claims())) }
	}
	set := func(name string, value any) func() error {
		return event(func(c claims) claims { return c.with(name, value) })
	}
	signed := func(key *jose.Key, typ string) func() error {
		return func() error { return h.send("mail", sign(t, key, typ, h.claims())) }
	}
	now := h.clock.now()
	for _, tt := range []struct {
		name, code string
		push       func() error
	}{
		{"SET for another audience", receiver.InvalidAudience, set("aud", "https://other.example")},
		{"no audience", receiver.InvalidAudience, set("aud", nil)},
		{"audience that begins alike", receiver.InvalidAudience, set("aud", issuer+".evil.example")},
		{"alg none", receiver.InvalidKey, func() error {
			body, _ := json.Marshal(h.claims())
			return h.send("mail", jose.EncodeSegment([]byte(`{"alg":"none","typ":"secevent+jwt"}`))+"."+jose.EncodeSegment(body)+".AA")
		}},
		{"HS256", receiver.InvalidKey, signed(hmac, receiver.Type)},
		{"key of a stranger under a known kid", receiver.InvalidKey, signed(stranger, receiver.Type)},
		{"no kid", receiver.InvalidKey, signed(nameless, receiver.Type)},
		{"signed by another transmitter", receiver.InvalidKey, signed(h.keys["partner"], receiver.Type)},
		{"signature taken off", receiver.InvalidKey, func() error {
			text := sign(t, mail, receiver.Type, h.claims())
			return h.send("mail", text[:strings.LastIndexByte(text, '.')+1]+"AA")
		}},
		{"access token passed as SET", receiver.InvalidRequest, signed(mail, "at+jwt")},
		{"logout token passed as SET", receiver.InvalidRequest, signed(mail, "logout+jwt")},
		{"no typ", receiver.InvalidRequest, signed(mail, "")},
		{"two events", receiver.InvalidRequest, set("events", claims{sessionRevoked: claims{}, accountDisabled: claims{}})},
		{"no event", receiver.InvalidRequest, set("events", claims{})},
		{"events are a list", receiver.InvalidRequest, set("events", []string{sessionRevoked})},
		{"event is not an object", receiver.InvalidRequest, set("events", claims{sessionRevoked: true})},
		{"unknown issuer", receiver.InvalidIssuer, set("iss", "https://evil.example")},
		{"no issuer", receiver.InvalidIssuer, set("iss", nil)},
		{"no jti", receiver.InvalidRequest, set("jti", nil)},
		{"endless jti", receiver.InvalidRequest, set("jti", strings.Repeat("x", 256))},
		{"old iat", receiver.InvalidRequest, set("iat", now.Add(-24*time.Hour).Unix())},
		{"iat from the future", receiver.InvalidRequest, set("iat", now.Add(61*time.Second).Unix())},
		{"no iat", receiver.InvalidRequest, set("iat", nil)},
		{"iat is a string", receiver.InvalidRequest, set("iat", "1")},
		{"exp", receiver.InvalidRequest, set("exp", now.Add(time.Hour).Unix())},
		{"sub", receiver.InvalidRequest, set("sub", h.ada)},
		{"no subject", receiver.InvalidRequest, set("sub_id", nil)},
		{"subject of no format", receiver.InvalidRequest, set("sub_id", claims{"email": "ada@example.com"})},
		{"complex in complex", receiver.InvalidRequest, event(func(c claims) claims {
			return c.with("sub_id", claims{"format": "complex", "user": claims{"format": "complex", "user": c["sub_id"]}})
		})},
		{"format that it is not set up for", receiver.InvalidRequest, set("sub_id", claims{"format": "opaque", "id": h.ada})},
		{"our id as an email", receiver.AccessDenied, set("sub_id", claims{"format": "email", "email": h.ada})},
		{"user of another domain", receiver.AccessDenied, set("sub_id", claims{"format": "email", "email": "bob@elsewhere.example"})},
		{"user of a domain that ends alike", receiver.AccessDenied, set("sub_id", claims{"format": "email", "email": "ada@evil-example.com"})},
		{"user of another transmitter", receiver.AccessDenied, func() error {
			return h.push("partner", h.claims().with("iss", other).with("sub_id", claims{"format": "iss_sub", "iss": idp, "sub": "u-1"}))
		}},
		{"wrong secret", receiver.AuthenticationFailed, func() error {
			return h.Receive(t.Context(), receiver.Push{Transmitter: "mail", Secret: secret + "x", Token: sign(t, mail, receiver.Type, h.claims())})
		}},
		{"unknown transmitter", receiver.AuthenticationFailed, func() error { return h.send("nobody", sign(t, mail, receiver.Type, h.claims())) }},
		{"transmitter that is switched off", receiver.AuthenticationFailed, func() error { return h.push("off", h.claims()) }},
		{"not a token", receiver.InvalidRequest, func() error { return h.send("mail", "{}") }},
		{"nothing", receiver.InvalidRequest, func() error { return h.send("mail", "") }},
		{"endless token", receiver.InvalidRequest, set("pad", strings.Repeat("x", 16<<10))},
	} {
		h.ends(tt.name+": before", h.signIn(h.ada), event(func(c claims) claims { return c }))
		sid := h.signIn(h.ada)
		h.spares(tt.name, sid, tt.code, tt.push)
		h.ends(tt.name+": after", sid, event(func(c claims) claims { return c }))
	}
}

// A SET that somebody has copied is not a way to keep people signed out: it counts
// once, for as long as it could be shown.
func TestReplayedSETEndsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	token := sign(t, h.keys["mail"], receiver.Type, h.claims().with("iat", h.clock.now().Add(59*time.Second).Unix()))
	h.ends("the first time", h.signIn(h.ada), func() error { return h.send("mail", token) })
	for range 4 {
		sid := h.signIn(h.ada)
		h.spares("replayed", sid, "", func() error { return h.send("mail", token) })
		h.clock.forward(6 * time.Hour)
		_, err := h.store.PurgeRevocations(t.Context(), h.clock.now())
		must(t, err)
	}
	h.clock.forward(58 * time.Second) // the last moment in which its iat is accepted
	_, err := h.store.PurgeRevocations(t.Context(), h.clock.now())
	must(t, err)
	sid := h.signIn(h.ada)
	h.spares("replayed at last", sid, "", func() error { return h.send("mail", token) })
	h.clock.forward(time.Second)
	h.spares("replayed too late", sid, receiver.InvalidRequest, func() error { return h.send("mail", token) })
	h.ends("another one", sid, func() error { return h.push("mail", h.claims()) })
}

func TestSETOfOneJTIPerTransmitter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.claims()
	h.ends("the first", h.signIn(h.ada), func() error { return h.push("mail", c) })
	h.ends("the same jti of another transmitter", h.signIn(h.ada), func() error {
		return h.push("partner", c.with("iss", other).with("sub_id", claims{"format": "iss_sub", "iss": other, "sub": "u-1"}))
	})
}

func TestFiftyCopiesOfASETAreOneRevocation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	token := sign(t, h.keys["mail"], receiver.Type, h.claims())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := h.send("mail", token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	log, err := h.store.Revocations(t.Context(), 0, 100)
	must(t, err)
	users := 0
	for _, e := range log {
		if e.Kind == revoke.User {
			users++
		}
	}
	if users != 1 {
		t.Errorf("%d revocations", users)
	}
}

func TestWhatAsksForNothingHereIsAccepted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sid := h.signIn(h.ada)
	for _, tt := range []struct {
		name, action string
		push         claims
	}{
		{"verification", "receiver.verified", h.claims().with("events", claims{
			"https://schemas.openid.net/secevent/ssf/event-type/verification": claims{"state": "x"},
		}).with("sub_id", claims{"format": "opaque", "id": "stream"})},
		{"another event", "receiver.ignored", h.claims().with("events", claims{"https://schemas.openid.net/secevent/caep/event-type/credential-change": claims{}})},
		{"nobody", "receiver.unknown_subject", h.claims().with("sub_id", claims{"format": "email", "email": "eve@example.com"})},
	} {
		h.spares(tt.name, sid, "", func() error { return h.push("mail", tt.push) })
		events, err := h.store.Events(t.Context(), 0, 100)
		must(t, err)
		if last := events[len(events)-1]; last.Action != tt.action || last.Actor != "transmitter:mail" {
			t.Errorf("%s: audited as %+v", tt.name, last)
		}
	}
	head, err := h.store.Head(t.Context())
	must(t, err)
	if head != 0 {
		t.Error("something was taken back")
	}
}

// What is not on disk is not acknowledged: the transmitter tries again.
func TestEventThatCannotBeObeyedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.claims().with("iss", other).with("sub_id", claims{"format": "iss_sub", "iss": other, "sub": "u-1"})
	token := sign(t, h.keys["partner"], receiver.Type, c)
	key := h.keys["partner"]
	h.keys["partner"] = nil // the keys cannot be had
	if err := h.send("partner", token); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without keys: %v", err)
	}
	h.keys["partner"] = key
	down := *h.Service
	down.Revoke = func(context.Context, receiver.Revocation) error { return errors.New("disk is full") }
	var refused *receiver.Error
	err := down.Receive(t.Context(), receiver.Push{Transmitter: "partner", Secret: secret, Token: token})
	if err == nil || errors.As(err, &refused) {
		t.Errorf("without a disk: %v", err)
	}
	h.ends("tried again", h.signIn(h.ada), func() error { return h.send("partner", token) })
}

func FuzzReceive(f *testing.F) {
	h := newHouse(f)
	f.Add(sign(f, h.keys["mail"], receiver.Type, h.claims()), []byte(`{"format":"email","email":"ada@example.com"}`))
	f.Fuzz(func(t *testing.T, token string, subject []byte) {
		var refused *receiver.Error
		if err := h.Receive(t.Context(), receiver.Push{Transmitter: "mail", Secret: secret, Token: token}); err != nil && !errors.As(err, &refused) {
			t.Errorf("%q: %v", token, err)
		}
		if !json.Valid(subject) {
			return
		}
		body := fmt.Sprintf(`{"iss":%q,"aud":%q,"jti":"x","iat":%d,"sub_id":%s,"events":{%q:{}}}`, idp, issuer, h.clock.now().Unix(), subject, sessionRevoked)
		text, err := jose.Sign(h.keys["mail"], jose.Header{Type: receiver.Type}, []byte(body))
		must(t, err)
		if err := h.Receive(t.Context(), receiver.Push{Transmitter: "mail", Secret: secret, Token: text}); err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v", body, err)
		}
	})
}
