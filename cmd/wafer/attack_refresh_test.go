package main

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// REFRESH-002, and the end of the family afterwards.
func TestParallelRefreshGivesOneSuccessor(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.visit(person(0))
	before := r.must(http.StatusOK, refreshing(v.refresh))
	one := before.str("refresh_token")

	var mu sync.Mutex
	next, access := map[string]int{}, []string{v.access, before.str("access_token")}
	var bad findings
	storm(50, func(int) {
		res, err := r.alone(refreshing(one))
		if err != nil || res.StatusCode != http.StatusOK {
			bad.add("refresh: %v %v %s", err, res.Response, res.text)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		next[res.str("refresh_token")]++
		access = append(access, res.str("access_token"))
	})
	bad.report(t)
	if len(next) != 1 || next[""] > 0 {
		t.Fatalf("50 refreshes of one token gave %d different successors", len(next))
	}
	var two string
	for two = range next {
	}
	after := r.must(http.StatusOK, refreshing(two))
	access = append(access, after.str("access_token"))
	for _, a := range access {
		service.must(http.StatusOK, get("/orders", bearer(a)))
	}

	r.must(http.StatusOK, formOf("/oauth/revoke", fields("client_id", "shop-web", "token", after.str("refresh_token"))))
	for _, text := range []string{v.refresh, one, two, after.str("refresh_token")} {
		if res := r.must(http.StatusBadRequest, refreshing(text)); res.str("error") != "invalid_grant" {
			t.Errorf("after the revocation: %s", res.text)
		}
	}
	for _, a := range access {
		if r.active(a, "") {
			t.Error("an access token outlives its revoked family")
		}
		service.must(http.StatusUnauthorized, get("/orders", bearer(a)))
	}
	r.must(http.StatusOK, refreshing(r.visit(person(0)).refresh))
}

// REFRESH-005: the server is asked for a refresh and told to end the session at
// the same time. Whichever comes first, nothing lives afterwards.
func TestRefreshDuringLogoutLeavesNothingAlive(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	for range 5 {
		v := r.visit(person(0))
		var mu sync.Mutex
		won := []visitor{v}
		var bad findings
		storm(20, func(i int) {
			if i == 10 {
				if res, err := r.alone(hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}}); err != nil || res.StatusCode != http.StatusNoContent {
					bad.add("logout: %v %s", err, res.text)
				}
				return
			}
			res, err := r.alone(refreshing(v.refresh))
			switch {
			case err != nil:
				bad.add("refresh: %v", err)
			case res.StatusCode == http.StatusOK:
				mu.Lock()
				won = append(won, visitor{login: v.login, cookie: v.cookie, access: res.str("access_token"), refresh: res.str("refresh_token")})
				mu.Unlock()
			case res.StatusCode != http.StatusBadRequest || res.str("error") != "invalid_grant":
				bad.add("refresh: %d %s", res.StatusCode, res.text)
			}
		})
		bad.report(t)
		for _, w := range won {
			r.dead(w, nil)
		}
	}
	r.lively(r.visit(person(0)), nil)
}

// REFRESH-001: within the window the same successor, after it the end of all.
func TestRefreshTokenReusedAfterTheWindowEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newClockHouse(t, 2)
	for _, tc := range []struct {
		name  string
		after time.Duration
		dies  bool
	}{
		{"at once", 0, false},
		{"within the window", 59 * time.Second, false},
		{"after the window", 61 * time.Second, true},
		{"within the window, after a theft", 59 * time.Second, false},
	} {
		v, bystander := h.visit(person(0)), h.visit(person(1))
		two := h.must(http.StatusOK, refreshing(v.refresh))
		h.forward(tc.after)
		if !tc.dies {
			if again := h.must(http.StatusOK, refreshing(v.refresh)); again.str("refresh_token") != two.str("refresh_token") {
				t.Errorf("%s: another successor", tc.name)
			}
			h.must(http.StatusOK, refreshing(two.str("refresh_token")))
			continue
		}
		h.must(http.StatusBadRequest, refreshing(v.refresh))
		for _, access := range []string{v.access, two.str("access_token")} {
			h.dead(visitor{login: v.login, cookie: v.cookie, access: access, refresh: two.str("refresh_token")}, nil)
		}
		h.lively(bystander, nil)
	}
}

// REFRESH-001: a token two generations old is a theft at any time.
func TestRefreshTokenOfAnOlderGenerationEndsTheSession(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	v := r.visit(person(0))
	two := r.must(http.StatusOK, refreshing(v.refresh))
	three := r.must(http.StatusOK, refreshing(two.str("refresh_token")))
	r.must(http.StatusBadRequest, refreshing(v.refresh))
	r.dead(visitor{login: v.login, cookie: v.cookie, access: three.str("access_token"), refresh: three.str("refresh_token")}, nil)
	r.lively(r.visit(person(0)), nil)
}

// REFRESH-007
func TestOtherCredentialsAreNoRefreshTokens(t *testing.T) {
	t.Parallel()
	r := besieged(t, 2)
	v, other := r.visit(person(0)), r.visit(person(1))
	good := r.must(http.StatusOK, refreshing(v.refresh)).str("refresh_token")
	last := len(good) - 1
	for name, text := range map[string]string{
		"access token": v.access, "cookie": v.cookie, "device cookie": v.device, "session id": v.sid, "truncated": good[:last],
		"appended": good + "A", "in quotes": `"` + good + `"`, "with a space": good + " ", "opaque token": r.must(http.StatusOK, swapping(v, mailAPI)).str("access_token"),
		"its head with another's tail": good[:len(good)/2] + other.refresh[len(other.refresh)/2:],
	} {
		res, err := r.fire(refreshing(text))
		if err != nil || res.StatusCode != http.StatusBadRequest || res.str("error") != "invalid_grant" {
			t.Errorf("%s: %v %d %s", name, err, res.StatusCode, res.text)
		}
	}
	r.must(http.StatusOK, refreshing(good))
	r.must(http.StatusOK, refreshing(other.refresh))
}
