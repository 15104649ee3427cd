package revocation_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// older is an age as a verifier counts it: the clock of the hub may have been slow.
func older(age time.Duration) time.Duration { return age + time.Duration(float64(age)*2e-3) }

// I5, I6: a lease is as old as the question, and what the hub knew was older by its age.
func TestLeaseCountsFromTheQuestionAndTheAge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		age, late time.Duration
	}{
		{"answered at once", 0, 0}, {"old knowledge", 100 * time.Millisecond, 0}, {"a long way back", 0, 700 * time.Millisecond},
		{"both", 800 * time.Millisecond, 600 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, h *fakeHub) {
				f, _ := start(t, h)
				pass(3 * time.Second)
				h.set(func() { h.age, h.late = c.age, c.late })
				pass(6 * time.Second)
				h.set(func() { h.away = errAway })
				pass(c.late + 10*time.Millisecond)
				asked := h.asked
				if got, want := f.Staleness(asked), older(c.age); got != want {
					t.Errorf("when it asked it was %v behind, want %v", got, want)
				}
				end := asked.Add(leaseFor - older(c.age))
				if !f.Fresh(end) || f.Fresh(end.Add(1)) {
					t.Errorf("at the end of the lease: %v, after: %v", f.Fresh(end), f.Fresh(end.Add(1)))
				}
			})
		})
	}
}

func TestMaxStaleShortensAndNeverLengthens(t *testing.T) {
	t.Parallel()
	for most, want := range map[time.Duration]time.Duration{0: leaseFor, 500 * time.Millisecond: 500 * time.Millisecond, time.Minute: leaseFor} {
		bubble(t, func(t *testing.T, h *fakeHub) {
			f, _ := start(t, h, func(c *revocation.Config) { c.MaxStale = most })
			if end := h.asked.Add(want); !f.Fresh(end) || f.Fresh(end.Add(1)) {
				t.Errorf("MaxStale %v: fresh at %v: %v, after: %v", most, want, f.Fresh(end), f.Fresh(end.Add(1)))
			}
		})
	}
}

// I6: of two clocks the one that shows more counts.
func TestLeaseEndsByEitherClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		passes             time.Duration
		stepped, suspended time.Duration
		want               bool
	}{
		{"both run", time.Second, 0, 0, true},
		{"suspended for less than a lease", time.Second, 0, time.Second, true},
		{"suspended for longer", 3 * time.Second, 0, 3 * time.Second, false},
		{"wall clock set forward", 0, time.Hour, 0, false},
		{"wall clock set back", time.Second, -time.Hour, 0, true},
		{"wall clock set back, and the lease is over", leaseFor + 1, -time.Hour, 0, false},
		{"over by both", leaseFor + 1, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, h *fakeHub) {
				m := newMachine()
				f, _ := start(t, h, m.clocks)
				if !f.Fresh(m.now()) {
					t.Fatal("not fresh before")
				}
				h.set(func() { h.away = errAway })
				pass(c.passes)
				m.change(c.stepped, c.suspended)
				if got := f.Fresh(m.now()); got != c.want {
					t.Errorf("fresh: %v, want %v; staleness %v", got, c.want, f.Staleness(m.now()))
				}
				h.set(func() { h.away = nil })
				pass(time.Second)
				if !f.Fresh(m.now()) {
					t.Error("not fresh after another lease")
				}
			})
		})
	}
}

// I8: nothing is known before the first lease, and that one is not of a time before
// the registration.
func TestColdStartWaitsForALeaseOfItsOwn(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		const age = 700 * time.Millisecond
		h.set(func() { h.away, h.age = errAway, age })
		registered := time.Now()
		f, _ := start(t, h)
		pass(5 * time.Second)
		if isReady(f) || f.Fresh(time.Now()) || f.Staleness(time.Now()) != -1 {
			t.Error("it relies on what nobody vouched for")
		}
		h.set(func() { h.away = nil })
		pass(time.Second)
		if !isReady(f) || !f.Fresh(time.Now()) || says(f, "usr_1", 0) != revocation.Live {
			t.Errorf("not ready %s after its registration", time.Since(registered))
		}
	})
	bubble(t, func(t *testing.T, h *fakeHub) {
		const age = 700 * time.Millisecond
		h.set(func() { h.age = age })
		registered := time.Now()
		f, _ := start(t, h)
		if k := f.Keys(revocation.Subject{Subject: "usr_1"}); isReady(f) || f.Fresh(time.Now()) {
			t.Errorf("it took a lease of before its registration; it would say %v", f.Check(&k, 0))
		}
		<-f.Ready()
		if since := time.Since(registered); since < older(age) || f.Staleness(time.Now()) > since {
			t.Errorf("ready after %v, of %v before", since, f.Staleness(time.Now()))
		}
	})
	f, err := revocation.New(revocation.Config{Issuer: issuer, Hub: newFakeHub(t)})
	if err != nil {
		t.Fatal(err)
	}
	if f.Fresh(time.Now()) || says(f, "usr_1", 0) != revocation.Unknown || f.Stats().Staleness != -1 {
		t.Error("a feed that does not run knows something")
	}
}

// An answer of a hub that lags does not take away what a better one has given.
func TestWorseLeaseDoesNotReplaceABetterOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f, _ := start(t, h)
		pass(time.Second)
		good := h.asked
		h.set(func() { h.age = 1900 * time.Millisecond })
		pass(renewEvery)
		if !h.asked.After(good) {
			t.Fatal("it did not ask again")
		}
		if got := f.Staleness(good); got != 0 {
			t.Errorf("it was complete at %v, and says %v behind", good, got)
		}
		h.set(func() { h.age = 0 })
		pass(renewEvery)
		if got := f.Staleness(h.asked); got != 0 {
			t.Errorf("%v behind with a good lease again", got)
		}
	})
}

func TestLeaseNeedsAllUpToTheHead(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, h *fakeHub) {
		f, _ := start(t, h)
		h.set(func() { h.head = 2 })
		pass(leaseFor + time.Second)
		if f.Fresh(time.Now()) {
			t.Error("fresh, and two entries are missing")
		}
		h.set(func() { h.frames = []string{h.frame(1, 1, "usr_1", "usr_2")} })
		pass(renewEvery)
		if !f.Fresh(time.Now()) || says(f, "usr_2", 1) != revocation.Revoked {
			t.Errorf("with them: %+v", f.Stats())
		}
	})
}

// I15: a lease is for one verifier, of one question, and sealed with the one key.
func TestForeignLeasesAreNone(t *testing.T) {
	t.Parallel()
	kept := ""
	sealedWith := func(t *testing.T, key *jose.Key, typ string, payload string) string {
		t.Helper()
		s, err := jose.Sign(key, jose.Header{Type: typ}, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	fields := func(a revocation.Answer) string {
		return `{"verifier":"` + a.Verifier + `","nonce":"` + a.Nonce + `","epoch":1,"head":0,"age_ms":0,"renew_ms":250,"lease_ms":2000}`
	}
	for name, forge := range map[string]func(t *testing.T, h *fakeHub, a revocation.Answer) string{
		"another nonce": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			a.Nonce = "of another question"
			return sealed(t, h, a)
		},
		"an answer of before": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			if kept == "" {
				a.Nonce += "x"
				kept = sealed(t, h, a)
			}
			return kept
		},
		"another verifier's": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			a.Verifier = "ver_99"
			return sealed(t, h, a)
		},
		"another key": func(t *testing.T, _ *fakeHub, a revocation.Answer) string {
			s, err := revocation.SealLease(a, make([]byte, revocation.LeaseKeySize))
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"signed by the feed's key": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			return sealedWith(t, h.key, revocation.LeaseType, fields(a))
		},
		"another type": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			key, err := jose.NewKey(jose.HS256, "", h.leaseKey())
			if err != nil {
				t.Fatal(err)
			}
			return sealedWith(t, key, "JWT", fields(a))
		},
		"a time that overflows": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			a.AgeMS = 1 << 62 / 1_000_000 * 3 // of nanoseconds, it is less than nothing
			return sealed(t, h, a)
		},
		"another epoch": func(t *testing.T, h *fakeHub, a revocation.Answer) string {
			a.Epoch, a.Resync = 2, false
			return sealed(t, h, a)
		},
		"a text":   func(*testing.T, *fakeHub, revocation.Answer) string { return "<html>welcome</html>" },
		"nothing":  func(*testing.T, *fakeHub, revocation.Answer) string { return "" },
		"unsigned": func(*testing.T, *fakeHub, revocation.Answer) string { return "eyJhbGciOiJub25lIn0.e30." },
	} {
		bubble(t, func(t *testing.T, h *fakeHub) {
			f, _ := start(t, h)
			if !f.Fresh(time.Now()) {
				t.Fatalf("%s: not fresh before", name)
			}
			h.set(func() { h.reseal = func(a revocation.Answer) string { return forge(t, h, a) } })
			pass(leaseFor + time.Second)
			if f.Fresh(time.Now()) || f.At().Epoch != 1 {
				t.Errorf("%s is taken for a lease", name)
			}
			h.set(func() { h.reseal = nil })
			pass(time.Second)
			if !f.Fresh(time.Now()) {
				t.Errorf("%s: not fresh after", name)
			}
		})
	}
}

func sealed(t *testing.T, h *fakeHub, a revocation.Answer) string {
	t.Helper()
	s, err := revocation.SealLease(a, h.leaseKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A registration with times out of range is none, and does not end the service.
func TestRegistrationOutOfRangeIsNone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*revocation.Registered){
		"renewing overflows":      func(r *revocation.Registered) { r.RenewMS = 1 << 62 / 1_000_000 * 3 },
		"the lease overflows":     func(r *revocation.Registered) { r.LeaseMS = 1 << 62 / 1_000_000 * 3 },
		"no time to renew":        func(r *revocation.Registered) { r.RenewMS = 0 },
		"a negative lease":        func(r *revocation.Registered) { r.LeaseMS = -1 },
		"a lease key too short":   func(r *revocation.Registered) { r.LeaseKey = r.LeaseKey[1:] },
		"a secret too long":       func(r *revocation.Registered) { r.Secret = append(r.Secret, 0) },
		"nobody's":                func(r *revocation.Registered) { r.Verifier = "" },
		"a key and no secret":     func(r *revocation.Registered) { r.Secret = nil },
		"the largest number ever": func(r *revocation.Registered) { r.RenewMS = 1<<63 - 1 },
	} {
		bubble(t, func(t *testing.T, h *fakeHub) {
			h.set(func() { h.registers = change })
			f, _ := start(t, h)
			pass(10 * time.Second)
			if isReady(f) || f.Fresh(time.Now()) || f.Stats().Registrations != 0 {
				t.Errorf("%s: %+v", name, f.Stats())
			}
			h.set(func() { h.registers = nil })
			pass(10 * time.Second)
			if !f.Fresh(time.Now()) {
				t.Errorf("%s: not fresh after", name)
			}
		})
	}
}
