package doctor_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/doctor"
)

func TestHealthyWaferBehindAHealthyProxy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	target, d := h.target(h.serve(t, front{}))
	r := doctor.Run(t.Context(), target)
	wantFine(t, r)
	slices.Sort(d.called)
	if got := slices.Compact(d.called); !slices.Equal(got, []string{"id.example.com:443", "id.example.com:80"}) {
		t.Errorf("called %v", got)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), password) {
		t.Errorf("%v, or the report holds the password", err)
	}
}

func TestReportsHaveTheSameChecksInTheSameOrder(t *testing.T) {
	t.Parallel()
	ids := func(r doctor.Report) (all []string) {
		for _, c := range r.Checks {
			all = append(all, c.ID)
			if c.Title == "" || c.Status == "" || c.Found == "" {
				t.Errorf("incomplete: %+v", c)
			}
		}
		return all
	}
	h := newHouse(t)
	whole := ids(h.examine(t, front{}, nil))
	if once := slices.Compact(slices.Sorted(slices.Values(whole))); len(once) != len(whole) {
		t.Errorf("an id is there twice: %v", whole)
	}
	for _, url := range []string{"", "http://127.0.0.1:1", "https://id.example.com/path"} {
		target, _ := h.target("", "")
		target.URL = url
		if got := ids(doctor.Run(t.Context(), target)); !slices.Equal(got, whole) {
			t.Errorf("%q: checks %v, want %v", url, got, whole)
		}
	}
}

// A healthy server at the other ends of every option: nothing else is examined,
// and the report says how to.
func TestWithoutOptionsTheirChecksAreSkippedWithAWord(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.examine(t, front{}, func(target *doctor.Target) { target.Login, target.Password, target.Origin = "", "", "" })
	for id, word := range map[string]string{
		"cookie.signin": "--login NAME", "cookie.session": "--login NAME", "proxy.address": "--login NAME", "cookie.end": "--login NAME",
		"cors.session": "--origin ORIGIN", "cors.token": "--origin ORIGIN", "cors.answer": "--origin ORIGIN",
	} {
		if c := find(t, r, id); c.Status != doctor.Skip || !strings.Contains(c.Found, word) {
			t.Errorf("%+v, want skip with %q", c, word)
		}
	}
	if len(bad(r)) > 0 {
		t.Errorf("faults: %v", bad(r))
	}
}

// The session is ended and no more than one is begun; nothing else that changes
// anything arrives.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	count := map[string]int{}
	r := h.examine(t, front{response: func(r *http.Response) {
		if r.StatusCode < 300 && r.Request.Method != http.MethodGet && r.Request.Method != http.MethodOptions {
			count[r.Request.Method+" "+r.Request.URL.Path]++
		}
	}}, nil)
	wantFine(t, r)
	if count["POST /session"] != 1 || count["DELETE /session"] != 1 || len(count) != 2 {
		t.Errorf("changed: %v", count)
	}
}

// What a hostile server writes must not steer the terminal that shows it.
func TestAttackEscapeSequencesInAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	wantFine(t, h.examine(t, front{}, nil))
	r := h.examine(t, front{response: func(r *http.Response) {
		r.Header.Set("Server", "evil\x1b[2J\u202e")
		r.Header.Set("Content-Type", "text/\x1b[31m")
		r.Header.Set("Location", "/\x1b]0;x\x07")
		r.StatusCode = 418
	}}, nil)
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), `\u001b`) || strings.Contains(string(text), "\u202e") || strings.Contains(string(text), `\u0007`) {
		t.Errorf("%v %s", err, text)
	}
	if len(bad(r)) == 0 {
		t.Error("no fault was found")
	}
	wantFine(t, h.examine(t, front{}, nil))
}

// A password must not reach a server that did not prove its name.
func TestAttackPasswordForAnUnprovenServer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	wantFine(t, h.examine(t, front{}, nil))
	self := authority{}.issue(t, nil)
	sent := false
	listen := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Path == "/session" && r.ContentLength < 1000 {
				sent = true
			}
			next.ServeHTTP(w, r)
		})
	}
	r := h.examine(t, front{cert: &self, wrap: listen}, nil)
	if c := find(t, r, "cookie.signin"); sent || c.Status != doctor.Skip || !strings.Contains(c.Found, "not trusted") {
		t.Errorf("sent: %t, %+v", sent, c)
	}
	r = h.examine(t, front{wrap: listen}, nil)
	if wantFine(t, r); !sent {
		t.Error("the listener hears nothing")
	}
}

func TestCancelingEndsTheExaminationButSignsOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	https, http80 := h.serve(t, front{response: func(r *http.Response) {
		switch r.Request.Method + " " + r.Request.URL.Path {
		case "GET /sessions":
			cancel()
		case "DELETE /session":
			ended = r.StatusCode == http.StatusNoContent
		}
	}})
	target, _ := h.target(https, http80)
	r := doctor.Run(ctx, target)
	if !ended || find(t, r, "cookie.end").Status != doctor.OK {
		t.Errorf("the session was left: %+v", find(t, r, "cookie.end"))
	}
	if c := find(t, r, "proxy.address"); c.Status == doctor.Fail {
		t.Errorf("what was stopped is no fault: %+v", c)
	}
}
