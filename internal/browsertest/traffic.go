package browsertest

import (
	"context"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
)

// Answer is what a server sent to a tab: for the page itself, for what it loads and
// for what its scripts fetch.
type Answer struct {
	Method, URL string
	Status      int64  // 0: none came, or the browser keeps it from the page
	Head        string // a line for each header, as received
	Body        string // "" for a redirect
}

// Traffic is the record of a tab.
type Traffic struct {
	mu  sync.Mutex
	all []Answer
}

// Answers returns what was recorded so far, in order.
func (r *Traffic) Answers() []Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Answer(nil), r.all...)
}

// Record keeps every answer that the tab gets from now on. Each is held back until
// it is read, so that the page never has what the record has not.
func (t *Tab) Record() *Traffic {
	t.t.Helper()
	r := &Traffic{}
	chromedp.ListenTarget(t.ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			go r.keep(t, e) // a listener must not wait for the browser
		}
	})
	t.run("record answers", fetch.Enable().WithPatterns([]*fetch.RequestPattern{{URLPattern: "*", RequestStage: fetch.RequestStageResponse}}))
	return r
}

func (r *Traffic) keep(t *Tab, e *fetch.EventRequestPaused) {
	ctx, cancel := context.WithTimeout(cdp.WithExecutor(t.ctx, chromedp.FromContext(t.ctx).Target), patience)
	defer cancel()
	a := Answer{Method: e.Request.Method, URL: e.Request.URL, Status: e.ResponseStatusCode}
	for _, h := range e.ResponseHeaders {
		a.Head += h.Name + ": " + h.Value + "\n"
	}
	if a.Status != 0 && (a.Status < 300 || a.Status >= 400) {
		body, err := fetch.GetResponseBody(e.RequestID).Do(ctx)
		if err != nil {
			body = []byte("unreadable: " + err.Error())
		}
		a.Body = string(body)
	}
	r.mu.Lock()
	r.all = append(r.all, a)
	r.mu.Unlock()
	// The tab may have ended, or left the page: then nobody waits for this answer.
	_ = fetch.ContinueRequest(e.RequestID).Do(ctx)
}
