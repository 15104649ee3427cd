package ssf_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/receiver"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ssf"
	"github.com/wafer-auth/wafer/verify/jose"
)

func TestEntriesOfTheLogBecomeEvents(t *testing.T) {
	t.Parallel()
	user := object{"format": "iss_sub", "iss": issuer, "sub": ada}
	session := object{"format": "opaque", "id": "ses_1"}
	for _, c := range []struct {
		name  string
		entry revoke.Entry
		about object
		want  map[string]object // beside reason and time
	}{
		{"logout", revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: ada, Reason: "logout"},
			object{"format": "complex", "user": user, "session": session}, map[string]object{ssf.SessionRevoked: {"initiating_entity": "user"}}},
		{"session of nobody known", revoke.Entry{Kind: revoke.Session, Key: "ses_1", Reason: "idle"}, session, map[string]object{ssf.SessionRevoked: {}}},
		{"ban", revoke.Entry{Kind: revoke.User, Key: ada, Reason: "ban"}, user, map[string]object{ssf.SessionRevoked: {"initiating_entity": "admin"}}},
		{"password", revoke.Entry{Kind: revoke.User, Key: ada, Reason: "password"}, user, map[string]object{
			ssf.SessionRevoked: {}, ssf.CredentialChange: {"credential_type": "password", "change_type": "update"},
		}},
		{"roles", revoke.Entry{Kind: revoke.Claims, Key: ada, Reason: "roles"}, user, map[string]object{
			ssf.TokenClaimsChange: {"claims": object{"roles": []any{"clerk", "boss"}}, "initiating_entity": "admin"},
		}},
		{"roles of somebody gone", revoke.Entry{Kind: revoke.Claims, Key: "usr_gone"}, nil, nil},
		{"grant", revoke.Entry{Kind: revoke.Grant, Key: "gra_1", Subject: ada}, nil, nil},
		{"token", revoke.Entry{Kind: revoke.Token, Key: "tok_1"}, nil, nil},
		{"client", revoke.Entry{Kind: revoke.Client, Key: "web"}, nil, nil},
		{"key", revoke.Entry{Kind: revoke.Key, Key: "key_1"}, nil, nil},
		{"received from another server", revoke.Entry{Kind: revoke.User, Key: ada, Reason: receiver.Reason}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, nil)
			id := g.stream()
			g.end(c.entry)
			got := g.poll(id, object{})
			if len(got) != len(c.want) {
				t.Fatalf("%d events, want %d", len(got), len(c.want))
			}
			for _, s := range got {
				want, ok := c.want[s.kind]
				if !ok || s.Audience != "rx" || s.Transaction != "1" || !reflect.DeepEqual(s.About, c.about) {
					t.Errorf("event %+v", s)
				}
				e := s.Events[s.kind]
				reason, _ := e["reason_admin"].(object)
				if e["event_timestamp"] != float64(g.now().Unix()) || reason["en"] == "" || len(reason) != 1 {
					t.Errorf("event %v lacks its time or reason", e)
				}
				delete(e, "event_timestamp")
				delete(e, "reason_admin")
				if !reflect.DeepEqual(e, want) {
					t.Errorf("%s: got %v, want %v", s.kind, e, want)
				}
			}
		})
	}
}

func TestPolledEventsComeUntilTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	for range 3 {
		g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	}
	ids := func(got map[string]set) (all []string) {
		for id := range got {
			all = append(all, id)
		}
		slices.Sort(all)
		return all
	}
	first := ids(g.poll(id, object{}))
	if again := ids(g.poll(id, object{})); len(first) != 3 || !slices.Equal(first, again) {
		t.Fatalf("first %v, again %v", first, again)
	}
	a := g.do("POST", "/ssf/poll/"+id, object{"maxEvents": 1, "returnImmediately": true}).want(t, 200)
	if len(a.body["sets"].(object)) != 1 || a.body["moreAvailable"] != true {
		t.Errorf("one of three: %s", a.Body)
	}
	if got := ids(g.poll(id, object{"maxEvents": 0, "ack": []string{first[0], "unknown"}})); len(got) != 0 {
		t.Errorf("acknowledged only, got %v", got)
	}
	refused := object{first[1]: object{"err": "invalid_issuer", "description": "not\nmine"}}
	if got := ids(g.poll(id, object{"setErrs": refused})); !slices.Equal(got, first[2:]) {
		t.Errorf("left: %v", got)
	}
	list, err := g.store.Messages(t.Context(), outbox.Which{State: outbox.GivenUp, Limit: 10})
	check(t, err)
	if len(list) != 1 || list[0].ID != first[1] || !strings.Contains(list[0].Problem, "invalid_issuer notmine") {
		t.Errorf("given up: %+v", list)
	}
	for name, body := range map[string]any{
		"not JSON": "", "too many": object{"ack": make([]string, 1001)}, "negative": object{"maxEvents": -1}, "error of nothing": object{"setErrs": object{"a": object{}}},
		"wrong type": object{"ack": "all"},
	} {
		if a := g.do("POST", "/ssf/poll/"+id, body); a.Code != 400 {
			t.Errorf("%s: got %d: %s", name, a.Code, a.Body)
		}
	}
}

func TestPollWaitsForTheNextEvent(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	got := make(chan answer)
	go func() { got <- g.do("POST", "/ssf/poll/"+id, object{}) }()
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	if a := <-got; a.Code != 200 || len(a.body["sets"].(object)) != 1 {
		t.Errorf("got %d: %s", a.Code, a.Body)
	}
}

func TestVerificationEchoesItsState(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	if a := g.do("POST", "/ssf/verification", object{"stream_id": id, "state": "abc"}).want(t, 204); a.Body.Len() != 0 {
		t.Errorf("answer: %s", a.Body)
	}
	one := func() (s set) {
		t.Helper()
		got := g.poll(id, object{})
		for _, s = range got {
		}
		if len(got) != 1 || s.kind != ssf.Verification || !reflect.DeepEqual(s.About, object{"format": "opaque", "id": id}) {
			t.Fatalf("got %+v", got)
		}
		return s
	}
	s := one()
	if s.Events[s.kind]["state"] != "abc" {
		t.Errorf("event: %v", s.Events)
	}
	if a := g.do("POST", "/ssf/verification", object{"stream_id": id}).want(t, 429); a.Header().Get("Retry-After") != "5" {
		t.Errorf("headers: %v", a.Header())
	}
	g.poll(id, object{"ack": []string{s.ID}, "maxEvents": 0})
	g.forward(ssf.VerificationInterval)
	g.do("POST", "/ssf/verification", object{"stream_id": id}).want(t, 204)
	if s := one(); len(s.Events[s.kind]) != 0 {
		t.Errorf("event without state: %v", s.Events)
	}
	g.do("POST", "/ssf/verification", object{"stream_id": "none"}).want(t, 404)
	g.do("POST", "/ssf/verification", object{"stream_id": id, "state": "a\nb"}).want(t, 400)
}

func TestSubjectsAreLeftOutAndTakenIn(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	subject := func(iss, sub string) object {
		return object{"stream_id": id, "subject": object{"format": "iss_sub", "iss": iss, "sub": sub}}
	}
	told := func(want int) {
		t.Helper()
		g.end(revoke.Entry{Kind: revoke.Session, Key: "ses_1", Subject: ada})
		got := g.poll(id, object{})
		var ack []string
		for id := range got {
			ack = append(ack, id)
		}
		if len(got) != want {
			t.Fatalf("%d events, want %d", len(got), want)
		}
		g.poll(id, object{"ack": append(ack, "x"), "maxEvents": 0})
	}
	told(1)
	g.do("POST", "/ssf/subjects/remove", subject(issuer, ada)).want(t, 204)
	g.do("POST", "/ssf/subjects/remove", subject(issuer, ada)).want(t, 204)
	told(0)
	if a := g.do("POST", "/ssf/subjects/add", subject(issuer, ada)).want(t, 200); a.Body.Len() != 0 {
		t.Errorf("answer: %s", a.Body)
	}
	told(1)
	for name, c := range map[string]struct {
		body any
		want int
	}{
		"of another issuer": {subject("https://evil.test", ada), 404}, "no user of ours": {subject(issuer, "ada"), 404},
		"no subject": {object{"stream_id": id}, 400}, "by mail": {object{"stream_id": id, "subject": object{"format": "email", "email": "a@b.c"}}, 400},
		"without a name": {object{"stream_id": id, "subject": object{"format": "iss_sub", "iss": issuer}}, 400}, "null": {object{"stream_id": id, "subject": nil}, 400},
	} {
		for _, path := range []string{"/ssf/subjects/add", "/ssf/subjects/remove"} {
			if a := g.do("POST", path, c.body); a.Code != c.want {
				t.Errorf("%s %s: got %d, want %d", path, name, a.Code, c.want)
			}
		}
	}
}

func push(url, auth string) object {
	d := object{"method": pushURN, "endpoint_url": url}
	if auth != "" {
		d["authorization_header"] = auth
	}
	return d
}

func TestPushedEventsArriveAndAreTriedAgain(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t, 500, 401, 202)
	g := newRig(t, pool)
	made := g.do("POST", "/ssf/stream", object{"delivery": push(s.URL, "Bearer mine"), "events_requested": ssf.Supported}).want(t, 201)
	if strings.Contains(made.Body.String(), "mine") || strings.Contains(made.Body.String(), "authorization") {
		t.Errorf("the header is shown: %s", made.Body)
	}
	start := g.now()
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	var last string
	for range 3 {
		got, auth := s.took()
		if len(got) != 1 || auth[0] != "Bearer mine" || last != "" && got[0] != last {
			t.Fatalf("got %q as %q, before %q", got, auth, last)
		}
		last = got[0]
		g.forward(time.Minute)
		g.tick()
	}
	if got, _ := s.took(); len(got) != 0 {
		t.Errorf("pushed again: %q", got)
	}
	g.forward(start.Sub(g.now()))
	if e := g.read(last); e.kind != ssf.SessionRevoked || e.Audience != "rx" {
		t.Errorf("event %+v", e)
	}
	g.do("POST", "/ssf/poll/"+made.body["stream_id"].(string), object{}).want(t, 404)
}

func TestReceiverThatRefusesAnEventIsAskedThreeTimes(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t, 400, 400, 400, 400)
	g := newRig(t, pool)
	g.do("POST", "/ssf/stream", object{"delivery": push(s.URL, ""), "events_requested": ssf.Supported}).want(t, 201)
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	for range 5 {
		g.forward(time.Hour)
		g.tick()
	}
	got, _ := s.took()
	list, err := g.store.Messages(t.Context(), outbox.Which{Limit: 10})
	check(t, err)
	if len(got) != 3 || len(list) != 1 || list[0].State != outbox.GivenUp || !strings.Contains(list[0].Problem, "invalid_key") {
		t.Errorf("asked %d times; %+v", len(got), list)
	}
}

// What a receiver wants to be shown is shown to the address it was given with, and
// to no other.
func TestAuthorizationStaysWithItsAddress(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t)
	g := newRig(t, pool)
	made := g.do("POST", "/ssf/stream", object{"delivery": push(s.URL+"/a", "Bearer mine"), "events_requested": ssf.Supported}).want(t, 201).body
	shown := func(delivery object, want string) {
		t.Helper()
		made["delivery"] = delivery
		g.do("PUT", "/ssf/stream", made).want(t, 200)
		g.end(revoke.Entry{Kind: revoke.User, Key: ada})
		if _, auth := s.took(); len(auth) != 1 || auth[0] != want {
			t.Fatalf("shown %q, want %q", auth, want)
		}
	}
	shown(push(s.URL+"/a", ""), "Bearer mine")
	shown(push(s.URL+"/b", ""), "")
	shown(push(s.URL+"/b", "Bearer other"), "Bearer other")
	shown(object{"method": pushURN, "endpoint_url": s.URL + "/b", "authorization_header": ""}, "")
	streams, err := g.store.Streams(t.Context(), "", 10)
	check(t, err)
	g.do("PATCH", "/ssf/stream", object{"stream_id": streams[0].ID, "delivery": push(s.URL, "Bearer sealed")}).want(t, 200)
	streams, err = g.store.Streams(t.Context(), "", 10)
	check(t, err)
	if len(streams[0].Authorization) == 0 || strings.Contains(string(streams[0].Authorization), "sealed") {
		t.Errorf("stored %q", streams[0].Authorization)
	}
}

func TestStreamFollowsItsDelivery(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t)
	g := newRig(t, pool)
	id := g.stream()
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	if len(g.poll(id, object{})) != 1 {
		t.Fatal("no event to poll")
	}
	g.do("PATCH", "/ssf/stream", object{"stream_id": id, "delivery": push(s.URL, "")}).want(t, 200)
	g.tick()
	if got, _ := s.took(); len(got) != 1 {
		t.Errorf("pushed %d events, want the one that was not acknowledged", len(got))
	}
}

func TestClientThatLostItsScopeOrIsGoneHearsNothing(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t)
	g := newRig(t, pool)
	g.do("POST", "/ssf/stream", object{"delivery": push(s.URL, ""), "events_requested": ssf.Supported}).want(t, 201)
	heard := func(want int, change func(*client.Client)) {
		t.Helper()
		c, _, err := g.store.ClientByID(t.Context(), "rx")
		check(t, err)
		change(&c)
		_, err = g.store.ChangeClient(t.Context(), c, revoke.Effects{})
		check(t, err)
		g.end(revoke.Entry{Kind: revoke.User, Key: ada})
		if got, _ := s.took(); len(got) != want {
			t.Errorf("%d events, want %d", len(got), want)
		}
	}
	heard(1, func(*client.Client) {})
	heard(0, func(c *client.Client) { c.Disabled = true })
	heard(0, func(c *client.Client) { c.Disabled, c.APIs = false, nil })
	heard(1, func(c *client.Client) { c.APIs = map[string][]string{"management": {"*"}} })
	check(t, g.flow.Tidy(t.Context()))
	heard(1, func(*client.Client) {})
	c, _, err := g.store.ClientByID(t.Context(), "rx")
	check(t, err)
	if ok, err := g.store.RemoveClient(t.Context(), "rx", c.Version, revoke.Effects{}); !ok || err != nil {
		t.Fatalf("remove: %v, %v", ok, err)
	}
	check(t, g.flow.Tidy(t.Context()))
	streams, err := g.store.Streams(t.Context(), "", 10)
	check(t, err)
	if len(streams) != 0 {
		t.Errorf("left: %+v", streams)
	}
}

func TestEventsAreSignedWithRS256OrNotAtAll(t *testing.T) {
	t.Parallel()
	s, pool := newSink(t)
	g := newRig(t, pool)
	g.do("POST", "/ssf/stream", object{"delivery": push(s.URL, ""), "events_requested": ssf.Supported}).want(t, 201)
	good := g.key
	other, err := jose.Generate(jose.EdDSA, "k2")
	check(t, err)
	for _, bad := range []*jose.Key{nil, other} {
		g.key = bad
		g.end(revoke.Entry{Kind: revoke.User, Key: ada})
		if got, _ := s.took(); len(got) != 0 {
			t.Errorf("pushed %q", got)
		}
	}
	g.key = good
	g.forward(time.Minute)
	g.tick()
	if got, _ := s.took(); len(got) != 2 {
		t.Errorf("pushed %d events, want the two that waited", len(got))
	}
}
