package browsertest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The keys that are no characters.
const (
	Enter = kb.Enter
	Next  = kb.Tab // the Tab key: on to the next field or button
	Space = " "
)

// run does the steps, or fails the test with what was being done.
func (t *Tab) run(doing string, steps ...chromedp.Action) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, steps...); err != nil {
		t.t.Fatalf("%s: %v", doing, err)
	}
}

// Go opens an address and waits until the page is loaded.
func (t *Tab) Go(url string) {
	t.t.Helper()
	t.run("go to "+url, chromedp.Navigate(url))
}

// Keys presses keys, wherever the focus is.
func (t *Tab) Keys(keys string) {
	t.t.Helper()
	t.run("press keys", chromedp.KeyEvent(keys))
}

// Send presses keys that make the page load another one, and waits for it.
func (t *Tab) Send(keys string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(keys)); err != nil {
		t.t.Fatalf("press keys and wait for a page: %v", err)
	}
}

// Press presses the button or link that the selector finds, as Enter does when it
// has the focus, and waits for the page that follows.
func (t *Tab) Press(selector string) {
	t.t.Helper()
	t.Focus(selector)
	t.Send(Enter)
}

// Focus puts the focus on what the selector finds.
func (t *Tab) Focus(selector string) {
	t.t.Helper()
	t.run("focus "+selector, chromedp.Focus(selector, chromedp.ByQuery))
}

// AwaitFocus waits until what the selector finds has the focus: browsers give it to
// a field with autofocus only after the page is loaded.
func (t *Tab) AwaitFocus(selector string) {
	t.t.Helper()
	t.run("wait for the focus on "+selector, chromedp.WaitReady(selector+":focus", chromedp.ByQuery))
}

// URL returns where the tab is.
func (t *Tab) URL() string {
	t.t.Helper()
	var url string
	t.run("read the address", chromedp.ActionFunc(func(ctx context.Context) error {
		at, entries, err := page.GetNavigationHistory().Do(ctx)
		if err == nil {
			url = entries[at].URL
		}
		return err
	}))
	return url
}

// Text returns the text of what the selector finds, without the space around it.
func (t *Tab) Text(selector string) string {
	t.t.Helper()
	var text string
	t.run("read "+selector, chromedp.TextContent(selector, &text, chromedp.ByQuery))
	return strings.Join(strings.Fields(text), " ")
}

// Attribute returns an attribute as it stands in the page, "" when there is none.
func (t *Tab) Attribute(selector, name string) string {
	t.t.Helper()
	return Eval[string](t, fmt.Sprintf("document.querySelector(%q).getAttribute(%q) ?? ''", selector, name))
}

// Eval returns the value of a JavaScript expression. It works in a page whose own
// scripts are off.
func Eval[T any](t *Tab, expression string) T {
	t.t.Helper()
	var value T
	t.run("evaluate "+expression, chromedp.Evaluate(expression, &value))
	return value
}

// Cookie is a cookie as the browser keeps it.
type Cookie struct {
	Name, Value, Domain, Path, SameSite string
	Secure, HTTPOnly, Session           bool
}

// Cookies returns the cookies that the browser would send to an address.
func (t *Tab) Cookies(url string) []Cookie {
	t.t.Helper()
	var all []Cookie
	t.run("read cookies", chromedp.ActionFunc(func(ctx context.Context) error {
		found, err := network.GetCookies().WithURLs([]string{url}).Do(ctx)
		for _, c := range found {
			all = append(all, Cookie{c.Name, c.Value, c.Domain, c.Path, c.SameSite.String(), c.Secure, c.HTTPOnly, c.Session})
		}
		return err
	}))
	return all
}

// Photograph writes a picture of the whole page as PNG.
func (t *Tab) Photograph(path string) {
	t.t.Helper()
	var png []byte
	t.run("photograph", chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.t.Fatal(err)
	}
}

// Problems returns what the browser complained about so far: blocked by a policy,
// thrown by a script, refused by a server.
func (t *Tab) Problems() []string {
	all, _ := t.problems.all()
	return all
}

// AwaitProblem waits until the browser complains in words that hold text.
func (t *Tab) AwaitProblem(text string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	for {
		all, more := t.problems.all()
		for _, p := range all {
			if strings.Contains(p, text) {
				return
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.t.Fatalf("the browser did not complain of %q but of %q", text, all)
		}
	}
}

type problems struct {
	mu    sync.Mutex
	heard []string
	more  chan struct{} // closed when another one is heard
}

func (p *problems) hear(event any) {
	text := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			text = e.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	}
	if text == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, text)
	close(p.more)
	p.more = make(chan struct{})
}

func (p *problems) all() (heard []string, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.heard...), p.more
}
