package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	selfURL  = "http://localhost:3001"
	apiID    = "https://orders.example"
	password = "correct-horse-battery-staple"
)

var start = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// life of an access token of the fake, in seconds.
const life = 300

// world is Wafer and orders as the application meets them. A refresh token is for
// one use: shown again, it ends its session, which is stricter than Wafer.
type world struct {
	t             *testing.T
	wafer, orders *httptest.Server

	mu        sync.Mutex
	count     int
	people    map[string]string // login -> user
	sessions  map[string]string // Wafer's cookie -> sid
	users     map[string]string // sid -> user
	access    map[string]string // access token -> sid
	refresh   map[string]string // refresh token -> sid
	issued    []string          // every credential given out
	seen      []string          // "METHOD path" of every request
	agents    []string          // of sign-ins: "user agent, X-Forwarded-For"
	trouble   map[string]int    // "METHOD path" -> status to fail with
	codes     map[string]string // "METHOD path" -> error code of that failure
	bad       func(http.ResponseWriter)
	echo      bool
	refreshes int
	gate      *gate // a refresh waits for it; nil: it does not
	now       func() time.Time
	elsewhere string // where failures redirect to
}

// gate lets a test hold refreshes.
type gate struct {
	came chan struct{}
	open chan struct{}
}

// hold lets refreshes wait until the gate is opened.
func (w *world) hold() *gate {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = &gate{came: make(chan struct{}, 100), open: make(chan struct{})}
	return w.gate
}

func newWorld(t *testing.T, now func() time.Time) *world {
	t.Helper()
	w := &world{
		t: t, now: now, people: map[string]string{"ada@example.com": "usr_ada", "bob@example.com": "usr_bob"}, sessions: map[string]string{},
		users: map[string]string{}, access: map[string]string{}, refresh: map[string]string{}, trouble: map[string]int{}, codes: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", w.signIn)
	mux.HandleFunc("GET /session", w.whoAmI)
	mux.HandleFunc("DELETE /session", w.signOut)
	mux.HandleFunc("GET /sessions", w.list)
	mux.HandleFunc("DELETE /sessions/{id}", w.end)
	mux.HandleFunc("POST /oauth/token", w.renew)
	w.wafer = httptest.NewServer(w.watched(mux))
	orders := http.NewServeMux()
	orders.HandleFunc("GET /orders", w.listOrders)
	w.orders = httptest.NewServer(w.watched(orders))
	t.Cleanup(w.wafer.Close)
	t.Cleanup(w.orders.Close)
	return w
}

func (w *world) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		row := r.Method + " " + r.URL.Path
		w.mu.Lock()
		w.seen = append(w.seen, row)
		status, code, gate := w.trouble[row], w.codes[row], w.gate
		if w.elsewhere != "" && status != 0 {
			rw.Header().Set("Location", w.elsewhere)
		}
		w.mu.Unlock()
		if gate != nil && row == "POST /oauth/token" {
			gate.came <- struct{}{}
			<-gate.open
		}
		if status != 0 {
			answer(rw, status, fmt.Sprintf(`{"error":%q,"message":"No <script>."}`, code))
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// fail makes a row fail from now on; status 0 heals it.
func (w *world) fail(row string, status int, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble[row], w.codes[row] = status, code
}

// requests returns what was asked since the last time.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

// revoke ends every session of a person, as `wafer revoke --user` does.
func (w *world) revoke(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for sid, u := range w.users {
		if u == user {
			delete(w.users, sid)
		}
	}
}

// change edits the world.
func (w *world) change(edit func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	edit()
}

func (w *world) refreshed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refreshes
}

func (w *world) live() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.users)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("X-Upstream", "leak")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (w *world) secret(kind string) string {
	w.count++
	s := fmt.Sprintf("%s%04d%s", kind, w.count, strings.Repeat("x", 40))
	w.issued = append(w.issued, s)
	return s
}

func (w *world) tokens(sid string) string {
	a, r := w.secret("eyJaccess"), w.secret("wrt_")
	w.access[a], w.refresh[r] = sid, sid
	return fmt.Sprintf(`"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":%d`, a, r, life)
}

func (w *world) signIn(rw http.ResponseWriter, r *http.Request) {
	var in map[string]string
	if json.NewDecoder(r.Body).Decode(&in) != nil || in["client_id"] != "spa" || in["api"] != apiID {
		answer(rw, 400, `{"error":"invalid_client"}`)
		return
	}
	w.agents = append(w.agents, r.UserAgent()+", "+r.Header.Get("X-Forwarded-For"))
	user, ok := w.people[in["login"]]
	if !ok || in["password"] != password {
		answer(rw, 401, `{"error":"unauthenticated","message":"Wrong login or password."}`)
		return
	}
	delete(w.users, w.sessions[cookieOf(r)])
	w.count++
	sid, cookie := fmt.Sprintf("ses_%04d", w.count), w.secret("cookie")
	w.sessions[cookie], w.users[sid] = sid, user
	if w.bad != nil {
		w.bad(rw)
		return
	}
	rw.Header().Add("Set-Cookie", "__Host-Http-wafer="+cookie+"; Path=/; HttpOnly; Secure; SameSite=Lax")
	answer(rw, 201, fmt.Sprintf(`{"session":{"id":%q,"user":%q,"expires_at":%q},%s}`, sid, user, w.now().Add(7*24*time.Hour).Format(time.RFC3339), w.tokens(sid)))
}

// seat returns the session of the cookie, "" after answering 401.
func (w *world) seat(rw http.ResponseWriter, r *http.Request) (sid, user string) {
	sid = w.sessions[cookieOf(r)]
	if user = w.users[sid]; user == "" {
		answer(rw, 401, `{"error":"unauthenticated","message":"Nobody is signed in here."}`)
		return "", ""
	}
	return sid, user
}

func (w *world) whoAmI(rw http.ResponseWriter, r *http.Request) {
	sid, user := w.seat(rw, r)
	if sid == "" {
		return
	}
	answer(rw, 200, fmt.Sprintf(`{"session":{"id":%q,"user":%q,"login":"%s@example.com","expires_at":%q,"auth_time":%q,"amr":["pwd"]}}`,
		sid, user, strings.TrimPrefix(user, "usr_"), start.Add(7*24*time.Hour).Format(time.RFC3339), start.Format(time.RFC3339)))
}

func (w *world) signOut(rw http.ResponseWriter, r *http.Request) {
	if sid, _ := w.seat(rw, r); sid != "" {
		delete(w.users, sid)
		rw.WriteHeader(204)
	}
}

func (w *world) list(rw http.ResponseWriter, r *http.Request) {
	mine, user := w.seat(rw, r)
	if mine == "" {
		return
	}
	var rows []string
	for sid, u := range w.users {
		if u == user {
			rows = append(rows, fmt.Sprintf(`{"id":%q,"current":%t}`, sid, sid == mine))
		}
	}
	answer(rw, 200, `{"items":[`+strings.Join(rows, ",")+`]}`)
}

func (w *world) end(rw http.ResponseWriter, r *http.Request) {
	mine, user := w.seat(rw, r)
	if mine == "" {
		return
	}
	if w.users[r.PathValue("id")] != user {
		answer(rw, 404, `{"error":"not_found"}`)
		return
	}
	delete(w.users, r.PathValue("id"))
	rw.WriteHeader(204)
}

func (w *world) renew(rw http.ResponseWriter, r *http.Request) {
	w.refreshes++
	if id, secret, ok := r.BasicAuth(); !ok || id != "spa" || secret != "s%26cret" {
		answer(rw, 401, `{"error":"invalid_client"}`)
		return
	}
	old := r.PostFormValue("refresh_token")
	sid := w.refresh[old]
	w.refresh[old] = "used"
	if sid == "used" {
		w.users = map[string]string{} // a theft
	}
	if w.users[sid] == "" || r.PostFormValue("grant_type") != "refresh_token" {
		answer(rw, 400, `{"error":"invalid_grant"}`)
		return
	}
	answer(rw, 200, "{"+w.tokens(sid)+"}")
}

func (w *world) listOrders(rw http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	user := w.users[w.access[token]]
	switch {
	case !ok || user == "" || r.Header.Get("Cookie") != "":
		answer(rw, 401, `{"error":"invalid_token"}`)
	case w.echo:
		answer(rw, 200, fmt.Sprintf(`{"user":%q,"note":"you sent %s","orders":[]}`, user, token))
	default:
		answer(rw, 200, fmt.Sprintf(`{"user":%q,"by":"token","debug":%q,"orders":[{"id":"1001","item":"wafers","count":3,"in_stock":7}]}`, user, token))
	}
}

func cookieOf(r *http.Request) string {
	c, err := r.Cookie("__Host-Http-wafer")
	if err != nil {
		return ""
	}
	return c.Value
}
