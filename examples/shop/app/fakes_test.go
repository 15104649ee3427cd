package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

// Where everything seems to be. The fakes' client goes to the right listener.
const (
	issuerURL = "http://localhost:8080"
	selfURL   = "http://localhost:3000"
	ordersURL = "http://localhost:8081"
	apiID     = "https://orders.example"
	password  = "correct-horse-battery-staple"
)

var start = time.Date(2026, 8, 3, 9, 30, 0, 0, time.UTC)

// world is Wafer and the orders API as the shop meets them: one person, sessions,
// JWTs with a sid, and refresh tokens of two generations.
type world struct {
	mu        sync.Mutex
	key       *jose.Key
	live      map[string]string // cookie -> sid
	refresh   map[string]string // refresh token -> sid
	issued    []string          // every credential given out
	count     int
	lag       int // so many calls with an ended credential are still let in
	trouble   map[string]int
	seen      []string // "METHOD path" of every request
	inventory string   // JSON added to the answer of orders
	echo      bool     // orders repeats the credential in its answer
	slow      chan struct{}
}

func newWorld() *world {
	key, err := jose.NewKey("HS256", "orders-1", []byte(strings.Repeat("k", 32)))
	if err != nil {
		panic(err)
	}
	return &world{
		key: key, live: map[string]string{}, refresh: map[string]string{}, trouble: map[string]int{},
		inventory: `{"id":"1001","item":"sealing wax","count":2,"in_stock":41},{"id":"1002","item":"paper","count":500,"in_stock":9000}`,
	}
}

// client reaches the fakes by the names of the real ones.
func (w *world) client() (*http.Client, func()) {
	issuer, orders := httptest.NewServer(w.issuer()), httptest.NewServer(w.orders())
	at := map[string]string{"localhost:8080": issuer.Listener.Addr().String(), "localhost:8081": orders.Listener.Addr().String()}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at[addr])
	}}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		issuer.Close()
		orders.Close()
	}
}

func (w *world) issuer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", w.signIn)
	mux.HandleFunc("GET /session", w.whoAmI)
	mux.HandleFunc("DELETE /session", w.end)
	mux.HandleFunc("POST /session/token", w.swap)
	mux.HandleFunc("POST /oauth/token", w.renew)
	return w.watched(mux)
}

func (w *world) orders() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", w.list)
	return w.watched(mux)
}

func (w *world) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		row := r.Method + " " + r.URL.Path
		w.seen = append(w.seen, row)
		if w.slow != nil {
			<-w.slow
		}
		if status := w.trouble[row]; status != 0 {
			answer(rw, status, `{"error":"unavailable","message":"Try again soon."}`)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// secret makes a credential that looks like one.
func (w *world) secret(kind string) string {
	w.count++
	s := fmt.Sprintf("%s%02d", kind, w.count)
	s += strings.Repeat("x", 43-len(s)-4) + fmt.Sprintf("%04d", w.count)
	w.issued = append(w.issued, s)
	return s
}

func (w *world) begin(rw http.ResponseWriter) (sid string) {
	cookie := w.secret("cookie")
	sid = fmt.Sprintf("ses_01K1Q8Z3V5%02d", w.count)
	w.live[cookie] = sid
	rw.Header().Add("Set-Cookie", "__Host-Http-wafer="+cookie+"; Path=/; HttpOnly; Secure; SameSite=Lax")
	rw.Header().Add("Set-Cookie", "unrelated=1; Path=/")
	return sid
}

func (w *world) token(sid string) string {
	w.count++
	payload := fmt.Sprintf(`{"iss":%q,"sub":"usr_01K1Q8Z3V5TJ7C","aud":%q,"exp":%d,"iat":%d,"auth_time":%d,"jti":"tok_%02d","client_id":"shop-web","scope":"orders:read","sid":%q,"rsn":%d,"amr":["pwd"],"color":"red"}`,
		issuerURL, apiID, start.Add(4*time.Minute+12*time.Second).Unix(), start.Add(-48*time.Second).Unix(), start.Add(-3*time.Minute).Unix(), w.count, sid, 12)
	token, err := jose.Sign(w.key, jose.Header{Type: "at+jwt"}, []byte(payload))
	if err != nil {
		panic(err)
	}
	w.issued = append(w.issued, token)
	return token
}

func (w *world) tokens(rw http.ResponseWriter, status int, sid, refresh string) {
	out := map[string]any{"access_token": w.token(sid), "token_type": "Bearer", "expires_in": 300, "scope": "orders:read"}
	if refresh != "" {
		out["refresh_token"] = refresh
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	answer(rw, status, string(b))
}

func (w *world) signIn(rw http.ResponseWriter, r *http.Request) {
	var in map[string]string
	if json.NewDecoder(r.Body).Decode(&in) != nil || in["client_id"] != "shop-web" || in["api"] != apiID {
		answer(rw, 400, `{"error":"invalid","message":"No."}`)
		return
	}
	if in["login"] != "ada@example.com" || in["password"] != password {
		answer(rw, 401, `{"error":"unauthenticated","message":"Login or password is wrong."}`)
		return
	}
	delete(w.live, cookieOf(r)) // the session it replaces
	sid := w.begin(rw)
	refresh := w.secret("refresh")
	w.refresh[refresh] = sid
	w.tokens(rw, 201, sid, refresh)
}

func (w *world) whoAmI(rw http.ResponseWriter, r *http.Request) {
	sid := w.live[cookieOf(r)]
	if sid == "" {
		answer(rw, 401, `{"error":"unauthenticated","message":"Nobody is signed in here."}`)
		return
	}
	answer(rw, 200, fmt.Sprintf(`{"session":{"id":%q,"user":"usr_01K1Q8Z3V5TJ7C","login":"ada@example.com","expires_at":%q,"auth_time":%q,"amr":["pwd"]}}`,
		sid, start.Add(12*time.Hour).Format(time.RFC3339), start.Add(-3*time.Minute).Format(time.RFC3339)))
}

func (w *world) end(rw http.ResponseWriter, r *http.Request) {
	if w.live[cookieOf(r)] == "" {
		answer(rw, 401, `{"error":"unauthenticated","message":"Nobody is signed in here."}`)
		return
	}
	delete(w.live, cookieOf(r))
	rw.Header().Add("Set-Cookie", "__Host-Http-wafer=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax")
	rw.WriteHeader(204)
}

func (w *world) swap(rw http.ResponseWriter, r *http.Request) {
	var in map[string]string
	sid := w.live[cookieOf(r)]
	if json.NewDecoder(r.Body).Decode(&in) != nil || in["client_id"] != "shop-web" || in["api"] != apiID || sid == "" {
		answer(rw, 401, `{"error":"unauthenticated","message":"Nobody is signed in here."}`)
		return
	}
	w.tokens(rw, 200, sid, "")
}

// renew gives the same successor however often a token is shown.
func (w *world) renew(rw http.ResponseWriter, r *http.Request) {
	old := r.PostFormValue("refresh_token")
	sid := w.refresh[old]
	if !w.alive(sid) || r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("client_id") != "shop-web" {
		answer(rw, 400, `{"error":"invalid_grant","error_description":"The refresh token has ended."}`)
		return
	}
	next := "next-" + old
	if w.refresh[next] == "" {
		w.refresh[next] = sid
		w.issued = append(w.issued, next)
	}
	w.tokens(rw, 200, sid, next)
}

func (w *world) alive(sid string) bool {
	for _, one := range w.live {
		if one == sid {
			return true
		}
	}
	return false
}

func (w *world) list(rw http.ResponseWriter, r *http.Request) {
	shown, by := cookieOf(r), "session"
	good := w.live[shown] != ""
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		shown, by = token, "token"
		good = w.alive(w.sidOf(token))
	}
	if !good && shown != "" && w.lag > 0 {
		w.lag--
		good = true
	}
	switch {
	case shown == "":
		answer(rw, 401, `{"error":"credential_required"}`)
	case !good:
		answer(rw, 401, `{"error":"invalid_token"}`)
	case w.echo:
		answer(rw, 200, fmt.Sprintf(`{"you sent":%q}`, shown))
	default:
		answer(rw, 200, fmt.Sprintf(`{"user":"usr_01K1Q8Z3V5TJ7C","by":%q,"orders":[%s]}`, by, w.inventory))
	}
}

func (w *world) sidOf(token string) string {
	_, payload, err := jose.Verify(token, w.key)
	if err != nil {
		return ""
	}
	var out struct {
		SID string `json:"sid"`
	}
	if json.Unmarshal(payload, &out) != nil {
		return ""
	}
	return out.SID
}

func cookieOf(r *http.Request) string {
	c, err := r.Cookie("__Host-Http-wafer")
	if err != nil {
		return ""
	}
	return c.Value
}
