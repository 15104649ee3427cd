package app

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// cookieName is the shop's own cookie. Its value is random, the name of a visit.
const cookieName = "__Host-Http-shop"

// What is kept in memory: at most this many visits, each for so long after its
// last press of a button.
const (
	mostVisits = 256
	visitLife  = 30 * time.Minute
)

// visit is what the shop remembers of one browser. It is copied in and out of the
// memory; what it points to is never changed.
type visit struct {
	seen    time.Time
	cookie  string // Wafer's session cookie as last used, kept to show that it is refused
	over    bool   // the cookie's session was ended here
	token   string // the JWT
	refresh string // the refresh token

	me         *person // what Wafer says of the cookie
	meNote     string  // why it does not
	cookieCall *exchange
	swap       *exchange // the last call to Wafer for a token
	jwtCall    *exchange
	refreshed  *refreshed
	watch      *watch
	notice     string // for the next page only
}

// secrets are what must not be whole in a page.
func (v visit) secrets() []string { return []string{v.cookie, v.token, v.refresh} }

// visits is the memory.
type visits struct {
	now func() time.Time
	mu  sync.Mutex
	all map[string]visit
}

func newVisits(now func() time.Time) *visits {
	return &visits{now: now, all: map[string]visit{}}
}

// get returns the visit, or an empty one.
func (m *visits) get(id string) visit {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.all[id]
	if !ok || m.old(v) {
		return visit{}
	}
	return v
}

// change puts back what f makes of the visit. A full memory forgets the oldest.
func (m *visits) change(id string, f func(*visit)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.all[id]
	if !ok || m.old(v) {
		v = visit{}
		m.makeRoom()
	}
	f(&v)
	v.seen = m.now()
	m.all[id] = v
}

// takeNotice returns the notice and forgets it.
func (m *visits) takeNotice(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.all[id]
	if !ok {
		return ""
	}
	notice := v.notice
	v.notice = ""
	m.all[id] = v
	return notice
}

func (m *visits) old(v visit) bool { return m.now().Sub(v.seen) > visitLife }

func (m *visits) makeRoom() {
	oldest := ""
	for id, v := range m.all {
		if m.old(v) {
			delete(m.all, id)
			continue
		}
		if oldest == "" || v.seen.Before(m.all[oldest].seen) {
			oldest = id
		}
	}
	if len(m.all) >= mostVisits {
		delete(m.all, oldest)
	}
}

// turn is one press of a button: whose, and what came with it.
type turn struct {
	visit         string // id
	cookie        string // Wafer's session cookie, "" for none
	device        string // Wafer's known-device cookie
	login, secret string // of the sign-in form
}

// refusal is what to say of a request that is not served; "" when it is.
type refusal string

const (
	twoCookies  refusal = "The browser sent two session cookies, and nobody can say which one counts. Clear the cookies of this site."
	anotherSite refusal = "The request comes from another site. Nothing was done."
	staleForm   refusal = "The form is out of date. Load the page again and press once more."
	badForm     refusal = "The form cannot be read."
)

// turn checks that the press was meant: the request comes from our own page, and
// brings the code that goes with the browser's cookie.
func (s *shop) turn(w http.ResponseWriter, r *http.Request) (turn, refusal) {
	if s.sameSite.Check(r) != nil {
		return turn{}, anotherSite
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if r.ParseForm() != nil {
		return turn{}, badForm
	}
	id, no := ownCookie(r)
	if no != "" {
		return turn{}, no
	}
	if id == "" || !hmac.Equal([]byte(r.PostForm.Get("csrf")), []byte(s.code(id))) {
		return turn{}, staleForm
	}
	t := turn{visit: id, login: r.PostForm.Get("login"), secret: r.PostForm.Get("password")}
	if t.cookie, no = cookie(r, verify.CookieName); no != "" {
		return turn{}, no
	}
	t.device, no = cookie(r, verify.CookieName+"-device")
	return t, no
}

// code is what the forms of one browser bring back.
func (s *shop) code(id string) string {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte("form " + id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// known returns the id of the browser's visit, and gives the browser one.
func (s *shop) known(w http.ResponseWriter, r *http.Request) (string, refusal) {
	id, no := ownCookie(r)
	if no != "" || id != "" {
		return id, no
	}
	id = rand.Text()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: id, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return id, ""
}

// ownCookie returns the shop's own cookie, "" when it is not one we made.
func ownCookie(r *http.Request) (string, refusal) {
	id, no := cookie(r, cookieName)
	if len(id) != len(rand.Text()) || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", no
	}
	return id, no
}

// cookie finds a cookie in the raw header: its name must be there byte for byte.
// net/http trims names, so that a neighbor could plant one that browsers would
// refuse under the real name.
func cookie(r *http.Request, name string) (string, refusal) {
	value, seen := "", false
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			v, ok := strings.CutPrefix(strings.TrimPrefix(pair, " "), name+"=")
			if !ok {
				continue
			}
			if seen {
				return "", twoCookies
			}
			value, seen = v, true
		}
	}
	return value, ""
}
