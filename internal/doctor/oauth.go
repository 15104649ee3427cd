package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// promised is a member of the metadata that applications rely on.
type promised struct {
	member string
	holds  string // a list must have it; "" for a flag that must be true
	never  string // and must not have this
}

var announced = []promised{
	{member: "response_types_supported", holds: "code"},
	{member: "grant_types_supported", holds: "authorization_code"},
	// Who may choose plain gives the verifier away with the request (RFC 9700 section 2.1.1).
	{member: "code_challenge_methods_supported", holds: "S256", never: "plain"},
	// Without it clients do not look at iss, and mix servers up (RFC 9207 section 3).
	{member: "authorization_response_iss_parameter_supported"},
	{member: "id_token_signing_alg_values_supported", holds: "RS256", never: "none"},
}

// checkAnnounced looks for what discovery must say so that applications find their
// way and stay safe on it.
func (x *exam) checkAnnounced(context.Context) finding {
	if !x.home.read {
		return skipped("There is no metadata.")
	}
	var bad []string
	for _, p := range announced {
		list := x.home.lists[p.member]
		switch {
		case p.holds == "" && !x.home.flags[p.member]:
			bad = append(bad, p.member+" is not true")
		case p.holds != "" && !slices.Contains(list, p.holds):
			bad = append(bad, p.member+" lacks "+p.holds)
		case p.never != "" && slices.Contains(list, p.never):
			bad = append(bad, p.member+" has "+p.never)
		}
	}
	for _, e := range endpoints {
		if x.home.urls[e.name] == "" {
			bad = append(bad, "no "+e.name)
		}
	}
	if len(bad) > 0 {
		return wrong("Something on the way changes the metadata, or serves an old copy, or this is not the Wafer that you expect (wafer version).",
			"%s.", strings.Join(bad, "; "))
	}
	return fine("Authorization codes with PKCE (S256), iss in their answers, ID tokens, %d endpoints.", len(endpoints))
}

// endpoint is one that the metadata names, and how it refuses a call that says
// nothing. Such a call changes nothing.
type endpoint struct {
	name    string
	method  string
	answers func(answer) bool
}

var endpoints = []endpoint{
	{"authorization_endpoint", http.MethodGet, func(a answer) bool { return a.status == http.StatusBadRequest && a.is("text/html") }},
	{"token_endpoint", http.MethodPost, asksForClient},
	{"pushed_authorization_request_endpoint", http.MethodPost, asksForClient},
	{"device_authorization_endpoint", http.MethodPost, asksForClient},
	{"introspection_endpoint", http.MethodPost, asksForClient},
	{"revocation_endpoint", http.MethodPost, asksForClient},
	{"userinfo_endpoint", http.MethodGet, func(a answer) bool {
		return a.status == http.StatusUnauthorized && strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer")
	}},
	{"end_session_endpoint", http.MethodGet, func(a answer) bool { return a.status == http.StatusOK && a.is("text/html") }},
}

// asksForClient tells the refusal of a caller that is no client; or of anybody, while
// too many such callers come.
func asksForClient(a answer) bool {
	return a.refusal(http.StatusUnauthorized, "invalid_client") || a.refusal(http.StatusTooManyRequests, "too_many")
}

// checkAnswers calls each endpoint that is announced, at the target: what lies
// elsewhere is the fault of issuer.endpoints.
func (x *exam) checkAnswers(ctx context.Context) finding {
	if !x.home.read {
		return skipped("There is no metadata.")
	}
	var all []finding
	for _, e := range endpoints {
		path, under := strings.CutPrefix(x.home.urls[e.name], x.home.issuer+"/")
		if !under {
			continue
		}
		q := question{method: e.method, path: "/" + path, header: navigation()}
		if e.method == http.MethodPost {
			q.header = http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
		}
		if a := x.ask(ctx, q); !e.answers(a) {
			all = append(all, unexpected(e.method+" "+q.path, a))
		}
	}
	if len(all) > 0 {
		f := worst(all...)
		if len(all) > 1 {
			f.found += fmt.Sprintf(" (and %d more)", len(all)-1)
		}
		return f
	}
	return fine("Each refuses a call that says nothing, as Wafer does.")
}

// differs names the first address that two documents give differently, "" for none.
func differs(a, b metadata) string {
	names := map[string]string{}
	maps.Copy(names, a.urls)
	maps.Copy(names, b.urls)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a.urls[name] != b.urls[name] {
			return name
		}
	}
	return ""
}
