package ssf_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/ssf"
)

func TestMetadataTellsWhatIsThere(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	m := g.as("", "GET", "/.well-known/ssf-configuration", nil).want(t, 200).body
	if m["spec_version"] != "1_0" || m["issuer"] != issuer || m["jwks_uri"] != issuer+"/.well-known/jwks.json" || m["default_subjects"] != "ALL" {
		t.Errorf("metadata: %v", m)
	}
	for _, name := range []string{"configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint", "verification_endpoint"} {
		at, ok := strings.CutPrefix(m[name].(string), issuer)
		if !ok {
			t.Fatalf("%s is %v", name, m[name])
		}
		g.do("POST", at, "{").want(t, 400)
		g.as("", "POST", at, "{}").want(t, 401)
	}
}

func TestStreamIsMadeReadChangedReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	if a := g.do("GET", "/ssf/stream", nil).want(t, 200); strings.TrimSpace(a.Body.String()) != "[]" {
		t.Errorf("no streams: %s", a.Body)
	}
	made := g.do("POST", "/ssf/stream", object{
		"delivery": object{"method": pollURN}, "events_requested": []string{ssf.SessionRevoked, "urn:example:other"}, "description": "mine", "unknown": 1,
	}).want(t, 201).body
	id := made["stream_id"].(string)
	if made["iss"] != issuer || made["aud"] != "rx" || made["description"] != "mine" || len(made["events_supported"].([]any)) != 3 ||
		made["delivery"].(object)["endpoint_url"] != issuer+"/ssf/poll/"+id {
		t.Errorf("made: %v", made)
	}
	if got := made["events_delivered"].([]any); len(got) != 1 || got[0] != ssf.SessionRevoked {
		t.Errorf("delivered: %v", got)
	}
	g.do("POST", "/ssf/stream", object{}).want(t, 409)
	g.do("GET", "/ssf/stream?stream_id="+id, nil).want(t, 200)
	if a := g.as("rx ssf:read", "GET", "/ssf/stream", nil).want(t, 200); !strings.Contains(a.Body.String(), id) {
		t.Errorf("list: %s", a.Body)
	}
	changed := g.do("PATCH", "/ssf/stream", object{"stream_id": id, "iss": issuer, "events_requested": ssf.Supported}).want(t, 200).body
	if len(changed["events_delivered"].([]any)) != 3 || changed["description"] != "mine" {
		t.Errorf("changed: %v", changed)
	}
	changed["description"] = "ours" // read, modified, sent back whole
	replaced := g.do("PUT", "/ssf/stream", changed).want(t, 200).body
	if replaced["description"] != "ours" || len(replaced["events_requested"].([]any)) != 3 {
		t.Errorf("replaced: %v", replaced)
	}
	emptied := g.do("PUT", "/ssf/stream", object{"stream_id": id}).want(t, 200).body
	if emptied["description"] != nil || len(emptied["events_requested"].([]any)) != 0 || emptied["delivery"].(object)["method"] != pollURN {
		t.Errorf("emptied: %v", emptied)
	}
	if a := g.do("DELETE", "/ssf/stream?stream_id="+id, nil).want(t, 204); a.Body.Len() != 0 {
		t.Errorf("removed: %s", a.Body)
	}
	g.do("DELETE", "/ssf/stream?stream_id="+id, nil).want(t, 404)
	g.do("GET", "/ssf/stream?stream_id="+id, nil).want(t, 404)
	events, err := g.store.Events(t.Context(), 0, 100)
	check(t, err)
	var actions []string
	for _, e := range events {
		actions = append(actions, e.Action+" "+e.Actor)
	}
	if want := []string{"stream.add rx", "stream.edit rx", "stream.edit rx", "stream.edit rx", "stream.remove rx"}; !slices.Equal(actions, want) {
		t.Errorf("audit log: %v", actions)
	}
}

func TestStreamsThatMakeNoSenseAreRefusedAndNothingIsMade(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	push := func(url string) object { return object{"delivery": object{"method": pushURN, "endpoint_url": url}} }
	long := strings.Repeat("x", 5000)
	for name, body := range map[string]any{
		"not JSON": "{", "a list": "[]", "twice": `{"description":"a","description":"b"}`, "null": object{"description": nil},
		"events of the wrong type": object{"events_requested": "all"}, "an event that is none": object{"events_requested": []string{""}},
		"delivery of the wrong type": object{"delivery": "push"}, "no method": object{"delivery": object{}}, "unknown method": object{"delivery": object{"method": "x"}},
		"push to nowhere": object{"delivery": object{"method": pushURN}}, "push without TLS": push("http://receiver.example/"),
		"push with a user": push("https://a@receiver.example/"), "push with a fragment": push("https://receiver.example/#a"),
		"push to a file": push("file:///etc/passwd"), "push to a path": push("/events"),
		"header with a break":    object{"delivery": object{"method": pushURN, "endpoint_url": "https://r.example/", "authorization_header": "a\r\nX: b"}},
		"header without end":     object{"delivery": object{"method": pushURN, "endpoint_url": "https://r.example/", "authorization_header": long}},
		"a description too long": object{"description": long},
	} {
		if a := g.do("POST", "/ssf/stream", body); a.Code != 400 {
			t.Errorf("%s: got %d: %s", name, a.Code, a.Body)
		}
	}
	if a := g.do("GET", "/ssf/stream", nil).want(t, 200); strings.TrimSpace(a.Body.String()) != "[]" {
		t.Errorf("made: %s", a.Body)
	}
	id := g.stream()
	for name, body := range map[string]any{
		"not JSON": "{", "without id": object{"description": "a"}, "other issuer": object{"stream_id": id, "iss": "https://evil.test"},
		"other audience": object{"stream_id": id, "aud": "other"}, "other events": object{"stream_id": id, "events_supported": []string{}},
	} {
		for _, method := range []string{"PATCH", "PUT"} {
			if a := g.do(method, "/ssf/stream", body); a.Code != 400 {
				t.Errorf("%s %s: got %d: %s", method, name, a.Code, a.Body)
			}
		}
	}
	g.do("PATCH", "/ssf/stream", object{"stream_id": "str_none"}).want(t, 404)
	g.do("PUT", "/ssf/stream", object{"stream_id": "str_none"}).want(t, 404)
	g.do("DELETE", "/ssf/stream", nil).want(t, 400)
	g.do("POST", "/ssf/status", object{"stream_id": id, "status": "asleep"}).want(t, 400)
}

// ADMIN-004: whatever one receiver has is nothing to another.
func TestStreamsOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	jti := ""
	for jti = range g.poll(id, object{}) {
	}
	subject := object{"format": "iss_sub", "iss": issuer, "sub": ada}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/ssf/stream?stream_id=" + id, nil}, {"PATCH", "/ssf/stream", object{"stream_id": id}}, {"PUT", "/ssf/stream", object{"stream_id": id}},
		{"DELETE", "/ssf/stream?stream_id=" + id, nil}, {"GET", "/ssf/status?stream_id=" + id, nil},
		{"POST", "/ssf/status", object{"stream_id": id, "status": "disabled"}}, {"POST", "/ssf/verification", object{"stream_id": id}},
		{"POST", "/ssf/subjects/add", object{"stream_id": id, "subject": subject}}, {"POST", "/ssf/subjects/remove", object{"stream_id": id, "subject": subject}},
		{"POST", "/ssf/poll/" + id, object{"ack": []string{jti}}},
	} {
		if a := g.as("other ssf:manage", c.method, c.path, c.body); a.Code != 404 {
			t.Errorf("%s %s: got %d", c.method, c.path, a.Code)
		}
	}
	own := g.as("other ssf:manage", "POST", "/ssf/stream", object{}).want(t, 201).body["stream_id"].(string)
	g.as("other ssf:manage", "POST", "/ssf/poll/"+own, object{"ack": []string{jti}, "maxEvents": 0}).want(t, 200)
	if left := g.poll(id, object{}); len(left) != 1 {
		t.Errorf("%d events are left, want 1: another acknowledged it", len(left))
	}
}

func TestReceiversNeedATokenOfTheirOwnWithTheScope(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	for who, want := range map[string][2]int{ // to read, to manage
		"rx ssf:manage": {200, 200}, "rx ssf:read": {200, 403}, "rx users:write": {403, 403}, "person ssf:manage": {403, 403}, "nonsense": {401, 401}, "": {401, 401},
	} {
		read := g.as(who, "GET", "/ssf/status?stream_id="+id, nil)
		manage := g.as(who, "POST", "/ssf/status", object{"stream_id": id, "status": "enabled"})
		if got := [2]int{read.Code, manage.Code}; got != want {
			t.Errorf("%q: got %v, want %v", who, got, want)
		}
		if challenge := manage.Header().Get("WWW-Authenticate"); (manage.Code >= 400) != strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%q: challenge %q", who, challenge)
		}
	}
	if a := g.as("", "GET", "/ssf/stream?access_token=rx+ssf:manage", nil); a.Code != 401 {
		t.Errorf("a token in the address: got %d", a.Code)
	}
}

func TestStatusHoldsOrDropsEvents(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	id := g.stream()
	set := func(status string) {
		t.Helper()
		a := g.do("POST", "/ssf/status", object{"stream_id": id, "status": status, "reason": "so"}).want(t, 200)
		b := g.do("GET", "/ssf/status?stream_id="+id, nil).want(t, 200)
		if a.Body.String() != b.Body.String() || b.body["status"] != status || b.body["stream_id"] != id || b.body["reason"] != "so" {
			t.Errorf("status: %s, then %s", a.Body, b.Body)
		}
	}
	set("paused")
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	if got := g.poll(id, object{}); len(got) != 0 {
		t.Errorf("paused: %v", got)
	}
	set("enabled")
	if got := g.poll(id, object{}); len(got) != 1 {
		t.Errorf("enabled again: %d events", len(got))
	}
	set("disabled")
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	g.do("POST", "/ssf/verification", object{"stream_id": id}).want(t, 409)
	set("enabled")
	if got := g.poll(id, object{}); len(got) != 0 {
		t.Errorf("after it was disabled: %v", got)
	}
	g.end(revoke.Entry{Kind: revoke.User, Key: ada})
	if got := g.poll(id, object{}); len(got) != 1 {
		t.Errorf("enabled: %d events", len(got))
	}
}
