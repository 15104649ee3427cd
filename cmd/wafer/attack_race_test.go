package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// SESS-019
func TestParallelLoginsNeverCross(t *testing.T) {
	t.Parallel()
	const people = 20
	r := besieged(t, people)
	service := r.ordersService()
	ids := make([]string, people)
	for i := range people {
		ids[i] = r.userID(person(i))
	}
	var bad findings
	storm(people, func(i int) {
		if err := oneVisit(r, service, i, ids[i]); err != nil {
			bad.add("%v", err)
		}
	})
	bad.report(t)
}

func (r *running) userID(login string) string {
	r.t.Helper()
	var u struct{ ID string }
	if err := json.Unmarshal([]byte(mustWafer(r.t, "", "--data", r.data, "--json", "user", "show", login)), &u); err != nil {
		r.t.Fatal(err)
	}
	return u.ID
}

// oneVisit signs a person in, asks in every way who that is, and signs out.
func oneVisit(r, service *running, i int, id string) error {
	v, err := r.enter(person(i), attackPhrase)
	if err != nil {
		return err
	}
	if v.user != id {
		return errors.New(person(i) + " was signed in as " + v.user)
	}
	for _, h := range []struct {
		to *running
		hit
		names string
	}{
		{r, get("/session", v.in()), person(i)}, {r, get("/session", v.in()), id}, {r, asking(v.cookie, ordersAPI), id}, {r, asking(v.access, ""), id},
		{service, get("/orders", v.in()), id}, {service, get("/orders", bearer(v.access)), id},
		{r, swapping(v, ordersAPI), "#" + id}, {r, refreshing(v.refresh), "#" + id},
		{r, get("/session", v.in()), person(i)}, {service, get("/orders", v.in()), id}, {service, get("/orders", bearer(v.access)), id},
	} {
		res, err := h.to.fire(h.hit)
		if err != nil {
			return err
		}
		text := res.text
		if want, inToken := strings.CutPrefix(h.names, "#"); inToken {
			h.names, text = want, payload(res.str("access_token"))
		}
		if res.StatusCode != http.StatusOK || !strings.Contains(text, h.names) {
			return errors.New(h.path + " for " + person(i) + " says " + text)
		}
	}
	res, err := r.fire(hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}})
	if err != nil || res.StatusCode != http.StatusNoContent {
		return errors.Join(err, errors.New("sign out "+person(i)+": "+res.text))
	}
	return nil
}

// payload is the middle of a signed token, unchecked.
func payload(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	return string(b)
}

// SESS-004: uses under way while the logout is answered must not bring anything
// back, and what they won dies with the session.
func TestLogoutBeatsSlowConcurrentUse(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	for range 4 {
		v := r.lively(r.visit(person(0)), service)
		var mu sync.Mutex
		won := []visitor{v}
		var bad findings
		storm(24, func(i int) {
			h := []hit{
				get("/session", v.in()), swapping(v, ordersAPI), refreshing(v.refresh), asking(v.cookie, ordersAPI),
				jsonOf(http.MethodPost, "/session/token", map[string]string{"client_id": "shop-web", "api": mailAPI}, v.in()),
				{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}},
			}[i%6]
			res, err := r.alone(h)
			switch {
			case err != nil:
				bad.add("%s: %v", h.path, err)
			case res.StatusCode >= 500:
				bad.add("%s: %d %s", h.path, res.StatusCode, res.text)
			case res.str("access_token") != "":
				w := v
				w.access = res.str("access_token")
				if next := res.str("refresh_token"); next != "" {
					w.refresh = next
				}
				mu.Lock()
				won = append(won, w)
				mu.Unlock()
			}
		})
		bad.report(t)
		for _, w := range won {
			r.dead(w, service)
		}
	}
	r.lively(r.visit(person(0)), service)
}

// SESS-004: a logout that was answered is felt by every request that starts after
// the answer, at Wafer and at a service, while others use the same session.
func TestNothingIsAcceptedOnceLogoutWasAnswered(t *testing.T) {
	t.Parallel()
	r := besieged(t, 1)
	service := r.ordersService()
	v := r.lively(r.visit(person(0)), service)
	done := make(chan struct{})
	var late findings
	var all sync.WaitGroup
	var warm sync.WaitGroup
	for _, use := range []struct {
		to *running
		hit
	}{{r, get("/session", v.in())}, {r, asking(v.access, "")}, {service, get("/orders", v.in())}, {service, get("/orders", bearer(v.access))}} {
		warm.Add(1)
		all.Go(func() {
			once := sync.OnceFunc(warm.Done)
			defer once()
			for after := 0; after < 3; {
				select {
				case <-done:
					after++
				default:
				}
				res, err := use.to.fire(use.hit)
				once()
				if err != nil {
					late.add("%s: %v", use.path, err)
					return
				}
				is, _ := res.body["active"].(bool)
				if after > 0 && res.StatusCode == http.StatusOK && (use.path != "/oauth/introspect" || is) {
					late.add("%s was accepted after the logout: %s", use.path, res.text)
				}
			}
		})
	}
	warm.Wait()
	r.must(http.StatusNoContent, hit{method: http.MethodDelete, path: "/session", header: [][2]string{v.in()}})
	close(done)
	all.Wait()
	late.report(t)
	r.dead(v, service)
	r.lively(r.visit(person(0)), service)
}
