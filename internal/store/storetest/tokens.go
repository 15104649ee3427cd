package storetest

import (
	"testing"

	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/store"
)

func tokenCases() []testCase {
	return []testCase{
		{"TokenReadBackAsWritten", tokenReadBack},
		{"AddTokenNeedsSessionUserAndClient", addTokenNeeds},
		{"AddTokenTakenDigestIsAConflict", addTokenTaken},
		{"NoTokenSurvivesTheEndOfItsSession", addTokenAgainstEnd},
	}
}

func tokenReadBack(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for _, want := range w.tokens {
		got, found, err := s.TokenByDigest(t.Context(), want.Digest)
		must(t, err)
		same(t, "found", found, true)
		same(t, "token", got, want)
	}
	_, found, err := s.TokenByDigest(t.Context(), opaque.Hash("guess"))
	must(t, err)
	same(t, "guess found", found, false)
}

func addTokenNeeds(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	for name, edit := range map[string]func(*grant.AccessToken){
		"session":                  func(a *grant.AccessToken) { a.SessionID = "s9" },
		"user":                     func(a *grant.AccessToken) { a.UserID = "eve" },
		"client":                   func(a *grant.AccessToken) { a.ClientID = "evil" },
		"client, nobody's":         func(a *grant.AccessToken) { a.SessionID, a.UserID, a.GrantID, a.ClientID = "", "", "", "evil" },
		"grant, which was revoked": func(a *grant.AccessToken) { a.GrantID = "g9" },
	} {
		a := newToken("t9", w.grants["g1"])
		edit(&a)
		ok, err := s.AddToken(t.Context(), a)
		refused(t, "token without "+name, ok, err)
	}
	ok, err := s.AddToken(t.Context(), newToken("t9", w.grants["g1"]))
	did(t, "token", ok, err)
}

func addTokenTaken(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	a := newToken("t9", w.grants["g4"])
	a.Digest = w.tokens["t1"].Digest
	_, err := s.AddToken(t.Context(), a)
	conflict(t, "taken digest", err)
	got, _, err := s.TokenByDigest(t.Context(), a.Digest)
	must(t, err)
	same(t, "untouched", got, w.tokens["t1"])
}

func addTokenAgainstEnd(t *testing.T, s store.Store) {
	w := newWorld(t, s)
	race(t, func(i int) (bool, error) {
		if i == racers/2 {
			_, err := s.Record(t.Context(), takes(revoke.User, "ada"))
			return false, err
		}
		return s.AddToken(t.Context(), newToken("r"+string(rune('A'+i)), w.grants["g1"]))
	})
	for i := range racers {
		_, found, err := s.TokenByDigest(t.Context(), newToken("r"+string(rune('A'+i)), w.grants["g1"]).Digest)
		must(t, err)
		same(t, "token of an ended session found", found, false)
	}
}
