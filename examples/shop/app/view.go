package app

import (
	"bytes"
	_ "embed" // the template
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify"
)

// pageView is everything the template shows.
type pageView struct {
	CSRF, SignInURL string
	Login, Nobody   string // who is signed in, or why nobody is
	Notice          string
	Watch           *watchView
	Cookie, JWT     panelView
	HasRefresh      bool
	Refreshed       *refreshedView
	Facts           []fact // of the cookie's session
	FactsNote       string
	Token           *decoded
	CookieEnded     bool
	Self            string
}

// panelView is one of the two panels.
type panelView struct {
	Call          *callView
	Before        *stepView // the call to Wafer before it
	Verdict, Tone string
	Path          []hop
}

// callView is a call as shown. Size and Credential are shown as bars too, in
// parts of the larger of both panels.
type callView struct {
	*exchange
	Heading, Time         string
	SizeBar, CredentialAt int // percent
}

// stepView is a call to Wafer in one line.
type stepView struct{ Line, Heading, Trouble, Time string }

// hop is a station on the way, with what the credential before it was.
type hop struct{ Carries, Name, Does, Tone string }

type refreshedView struct {
	First, Second stepView
	Twice, Same   bool
}

type watchView struct {
	Big, Says, Tone string
	Rows            []watchRow
	Refresh         string
}

// watchRow is one moment; Bar is in percent of the longest.
type watchRow struct {
	At   time.Duration
	Time string
	What string
	Bar  int
}

//go:embed templates/page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

func (s *shop) page(w http.ResponseWriter, r *http.Request) {
	id, no := s.known(w, r)
	if no != "" {
		s.refuse(w, http.StatusBadRequest, no)
		return
	}
	browser, no := cookie(r, verify.CookieName)
	if no != "" {
		s.refuse(w, http.StatusBadRequest, no)
		return
	}
	v := s.visits.get(id)
	p := s.view(v)
	p.CSRF, p.Notice = s.code(id), s.visits.takeNotice(id)
	p.Login, p.Nobody = "", "Nobody is signed in."
	if used := s.current(turn{cookie: browser}, v); used != "" {
		me, x := s.whoIs(r.Context(), used)
		switch {
		case me != nil:
			p.Login, p.Nobody = me.Login, ""
		case x.Refused():
			p.Nobody = "Your session is over. Sign in again."
		default:
			p.Nobody = "Wafer does not say who you are. " + x.inWords()
		}
	}
	s.render(w, http.StatusOK, p)
}

// refuse shows a request that is not served, with the way back.
func (s *shop) refuse(w http.ResponseWriter, status int, no refusal) {
	s.render(w, status, pageView{Notice: string(no), Self: s.Self})
}

func (s *shop) render(w http.ResponseWriter, status int, p pageView) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		s.Logger.Error("render", "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser may have left
}

func (s *shop) view(v visit) pageView {
	now := s.Now()
	p := pageView{
		SignInURL: s.Issuer + "/login?" + url.Values{"client_id": {s.ClientID}, "return_to": {s.Self + "/"}}.Encode(),
		Self:      s.Self, HasRefresh: v.refresh != "", FactsNote: v.meNote, CookieEnded: v.over,
	}
	largest := 1
	for _, x := range []*exchange{v.cookieCall, v.jwtCall} {
		if x != nil {
			largest = max(largest, x.Size)
		}
	}
	p.Cookie = panel(v.cookieCall, v, largest)
	p.Cookie.Path = way(v.cookieCall, v.over)
	p.JWT = panel(v.jwtCall, v, largest)
	p.JWT.Path = way(v.jwtCall, v.over)
	if v.swap != nil {
		p.JWT.Before = step(v.swap, v)
	}
	if v.me != nil {
		p.Facts, p.FactsNote = v.me.facts(now), ""
	}
	if v.token != "" {
		p.Token = decode(v.token, now)
	}
	if v.refreshed != nil {
		p.Refreshed = &refreshedView{First: *step(v.refreshed.First, v), Same: v.refreshed.Same}
		if v.refreshed.Second != nil {
			p.Refreshed.Second, p.Refreshed.Twice = *step(v.refreshed.Second, v), true
		}
	}
	if v.watch != nil {
		p.Watch = v.watch.view()
	}
	return p
}

func panel(x *exchange, v visit, largest int) panelView {
	if x == nil {
		return panelView{Verdict: "not called yet", Tone: "idle"}
	}
	shown := *x
	shown.Answer = redact(x.Answer, v.secrets()...)
	c := &callView{exchange: &shown, Heading: heading(x), Time: millis(x.Took), SizeBar: 100 * x.Size / largest, CredentialAt: 100 * x.Credential / largest}
	p := panelView{Call: c}
	switch {
	case x.OK():
		p.Verdict, p.Tone = "accepted", "good"
	case x.Refused():
		p.Verdict, p.Tone = "refused", "bad"
	case x.Status == http.StatusForbidden:
		p.Verdict, p.Tone = "not allowed", "bad"
	case x.Status == 0:
		p.Verdict, p.Tone = "no answer", "warn"
	default:
		p.Verdict, p.Tone = "failed", "warn"
	}
	return p
}

func heading(x *exchange) string {
	if x.Status == 0 {
		return "no answer"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status)))
}

func step(x *exchange, v visit) *stepView {
	line, _, _ := strings.Cut(x.Request, " HTTP/")
	out := &stepView{Line: line, Heading: heading(x), Trouble: x.Trouble, Time: millis(x.Took)}
	if !x.OK() && x.Trouble == "" {
		out.Trouble = redact(x.message(), v.secrets()...)
	}
	return out
}

// problem is what an answer says of a failure, by either name.
type problem struct {
	Error       string `json:"error"`
	Message     string `json:"message"`
	Description string `json:"error_description"`
}

func (e *exchange) problem() problem {
	var out problem
	if json.Unmarshal([]byte(e.Answer), &out) != nil || out.Error == "" {
		return problem{Error: heading(e)}
	}
	return out
}

// message is a problem in a sentence.
func (e *exchange) message() string {
	p := e.problem()
	if text := p.Message + p.Description; text != "" {
		return strings.TrimSuffix(text, ".") + " (" + p.Error + ")."
	}
	return p.Error + "."
}

// way is how a credential travelled: first from the browser, then on. After a
// log-out the browser has none, and the shop shows the copy it kept.
func way(x *exchange, over bool) []hop {
	browser, shop := hop{Name: "browser", Tone: "idle"}, hop{Name: "shop", Tone: "idle"}
	orders, stock := hop{Name: "orders", Tone: "idle"}, hop{Name: "inventory", Tone: "idle"}
	if x == nil {
		return []hop{browser, shop, orders, stock}
	}
	carried := x.Kind
	if carried == "" {
		carried = "no cookie"
	}
	browser.Tone, shop.Tone = "good", "good"
	browser.Does, shop.Carries, shop.Does = "sends", "cookie", "passes it on"
	switch {
	case over:
		browser.Does, shop.Carries, shop.Does = "has none now", "a click", "shows its copy"
	case x.Kind == "JWT":
		shop.Does = "has the JWT"
	case x.Kind == "":
		browser.Does, shop.Carries, shop.Does = "has none", "no cookie", "calls without"
	}
	orders.Carries = carried
	switch {
	case x.OK():
		orders.Does, orders.Tone = "lets it in", "good"
		stock.Carries = "its own JWT"
		stock.Does, stock.Tone = stockSays(x)
	case x.Refused():
		orders.Does, orders.Tone, stock.Does = "refuses it", "bad", "not asked"
	case x.Status == 0:
		orders.Does, orders.Tone, stock.Does = "no answer", "warn", "not asked"
	default:
		orders.Does, orders.Tone, stock.Does = "answers "+fmt.Sprint(x.Status), "warn", "not asked"
	}
	return []hop{browser, shop, orders, stock}
}

// stockSays tells from the orders whether the inventory had a part in them.
func stockSays(x *exchange) (does, tone string) {
	var out struct {
		Orders []struct {
			InStock *int `json:"in_stock"`
		} `json:"orders"`
		Note string `json:"note"`
	}
	if json.Unmarshal([]byte(x.Answer), &out) != nil {
		return "not seen", "idle"
	}
	for _, one := range out.Orders {
		if one.InStock != nil {
			return "answers", "good"
		}
	}
	if out.Note != "" {
		return "no answer", "warn"
	}
	return "not seen", "idle"
}

func (w *watch) view() *watchView {
	v := &watchView{Big: millis(w.Took()), Tone: "bad", Says: "from the press of the button until both were refused"}
	if !w.JWT.Shown {
		v.Says = "from the press of the button until the cookie was refused. There was no JWT to show"
	}
	if !w.Refused() {
		v.Big, v.Tone = "Not refused", "warn"
		v.Says = "At least one of them was still let in, or could not be shown, " + w.Within.String() + " after the log-out"
	}
	v.Rows = []watchRow{{What: "You press Log out everywhere"}, {At: w.Ended, What: "Wafer has ended the session"}, w.Cookie.row("cookie")}
	if w.JWT.Shown {
		v.Rows = append(v.Rows, w.JWT.row("JWT"))
	}
	slices.SortStableFunc(v.Rows, func(a, b watchRow) int { return int(a.At - b.At) })
	longest := max(v.Rows[len(v.Rows)-1].At, 1)
	for i := range v.Rows {
		v.Rows[i].Bar = int(100 * v.Rows[i].At / longest)
		v.Rows[i].Time = millis(v.Rows[i].At)
	}
	v.Rows[0].Time = "0 ms"
	switch {
	case w.Refresh == nil:
	case w.Refresh.OK():
		v.Refresh = "The refresh token still works."
	default:
		v.Refresh = "The refresh token is refused too (" + w.Refresh.problem().Error + ")."
	}
	return v
}

func (l lived) row(name string) watchRow {
	tries := fmt.Sprintf("at try %d", l.Tries)
	if l.Refused {
		return watchRow{At: l.After, What: "orders refuses the " + name + ", " + tries}
	}
	return watchRow{At: l.After, What: "orders has not refused the " + name + " (" + heading(l.last) + ")"}
}
