package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/examples/shop/app"
)

func TestCookieIsShownToOrders(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	wants(t, b.page(), "cookie", "not called yet")
	b.signInAtWafer()
	page := b.press("/cookie")
	wants(t, page, "bar", "Signed in as <strong>ada@example.com")
	wants(t, page, "cookie", "accepted", "200 OK", "GET /orders HTTP/1.1", "Host: localhost:8081", "Cookie: __Host-Http-wafer=cookie01…0001",
		"the cookie is 43", "&#34;by&#34;: &#34;session&#34;", "lets it in", "answers", "ses_01K1Q8Z3V501", "expires in 12 h 0 min")
	wants(t, page, "jwt", "not called yet")
}

func TestJWTOfTheSwapIsShownToOrders(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	b.signInAtWafer()
	page := b.press("/swap")
	wants(t, page, "jwt", "accepted", "POST /session/token", "Authorization: Bearer eyJhbGci…", "&#34;by&#34;: &#34;token&#34;",
		"expires in 4 min 12 s", "made 48 s ago", "the person proved who they are 3 min 0 s ago", "it ends with it", "at&#43;jwt", "HS256", "orders-1",
		"where the revocation log stood", "a claim of this API&#39;s own")
	wants(t, page, "cookie", "not called yet")
}

func TestSwapWithoutSessionIsRefused(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld())
	wants(t, b.press("/swap"), "jwt", "401 Unauthorized", "Nobody is signed in here (unauthenticated).", "not called yet")
	wants(t, b.press("/cookie"), "cookie", "refused", "credential_required", "No cookie came with the request.")
	b.signInAtWafer()
	wants(t, b.press("/swap"), "jwt", "accepted")
}

func TestLoginForTokensAndRefreshGiveSameSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	wants(t, b.press("/refresh"), "notice", "There is no refresh token.")
	wants(t, b.signInForTokens("wrong"), "notice", "Nobody was signed in. Wafer says: Login or password is wrong (unauthenticated).")
	lacks(t, b.page(), "notice") // said once

	page := b.signInForTokens(password)
	wants(t, page, "jwt", "accepted", "The refresh token stays in the shop's memory")
	wants(t, page, "bar", "Signed in as <strong>ada@example.com")
	if b.cookies["__Host-Http-wafer"] == "" || b.cookies["unrelated"] != "" {
		t.Errorf("cookies %v: want Wafer's handed on, and no other", b.cookies)
	}
	for range 2 { // the successor must have been kept
		page = b.press("/refresh")
		wants(t, page, "jwt", "Same successor: <strong>yes</strong>", "POST /oauth/token", "accepted")
	}
}

func TestLogOutRefusesBothAndSaysWhen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInForTokens(password)
	b.press("/cookie")
	w.lag = 6 // both are let in a few times more
	page := b.press("/logout")
	wants(t, page, "watch", "until both were refused", "Wafer has ended the session", "orders refuses the cookie", "orders refuses the JWT",
		"The refresh token is refused too (invalid_grant).")
	if strings.Count(page, "at try 1<") > 1 {
		t.Error("both were refused at the first try, although orders let them in")
	}
	wants(t, page, "cookie", `class="panel bad"`, "refused", "401 Unauthorized", "invalid_token", "not asked", "What Wafer knew of it")
	wants(t, page, "jwt", `class="panel bad"`, "refused", "401 Unauthorized", "invalid_token", "good for another 4 min 12 s. It is refused all the same.")
	wants(t, page, "bar", "Nobody is signed in.")
	if _, there := b.cookies["__Host-Http-wafer"]; there {
		t.Error("the browser still has its cookie")
	}

	page = b.press("/again") // with what the shop remembers, not with nothing
	wants(t, page, "cookie", "refused", "invalid_token")
	wants(t, page, "jwt", "refused", "invalid_token")
	wants(t, b.press("/refresh"), "jwt", "400 Bad Request", "invalid_grant")
	wants(t, b.press("/logout"), "notice", "nothing to log out of")

	page = b.signInForTokens(password)
	wants(t, page, "jwt", "accepted")
	lacks(t, page, "watch")
}

func TestLogOutWithoutJWTSwapsForOneFirst(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInAtWafer()
	page := b.press("/logout")
	wants(t, page, "watch", "until both were refused", "orders refuses the JWT")
	wants(t, page, "jwt", "POST /session/token", "refused")
	for _, row := range w.seen {
		if row == "POST /session/token" {
			return
		}
		if row == "DELETE /session" {
			t.Fatal("the session ended before the swap")
		}
	}
}

func TestWatchSaysWhenNothingIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w, func(c *app.Config) { c.Timeout = 80 * time.Millisecond })
	b.signInAtWafer()
	w.lag = 1 << 30
	page := b.press("/logout")
	wants(t, page, "watch", `class="watch warn"`, "Not refused", "80ms after the log-out", "orders has not refused the cookie (200 OK)")
	wants(t, page, "cookie", "accepted")
}

func TestFailedLogOutIsNoLogOut(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInAtWafer()
	w.trouble["DELETE /session"] = http.StatusServiceUnavailable
	page := b.press("/logout")
	wants(t, page, "notice", "You are still signed in. Wafer says: Try again soon (unavailable).")
	lacks(t, page, "watch")
	delete(w.trouble, "DELETE /session")
	wants(t, b.press("/logout"), "watch", "until both were refused")
}

func TestTroubleOfOthersIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInAtWafer()
	w.trouble["GET /orders"] = http.StatusServiceUnavailable
	wants(t, b.press("/cookie"), "cookie", "failed", "503 Service Unavailable", "Try again soon.", "answers 503")
	w.trouble["GET /orders"] = http.StatusForbidden
	wants(t, b.press("/cookie"), "cookie", "not allowed", "403 Forbidden")
	w.trouble["GET /session"] = http.StatusServiceUnavailable
	wants(t, b.page(), "bar", "Wafer does not say who you are. Wafer says: Try again soon (unavailable).")
	w.trouble["GET /orders"] = http.StatusFound // a redirect is shown, not followed
	wants(t, b.press("/cookie"), "cookie", "failed", "302 Found")
}

func TestServiceThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, newWorld(), func(c *app.Config) { c.Client = nil; c.Orders = "http://127.0.0.1:1" })
	wants(t, b.press("/cookie"), "cookie", "no answer", "127.0.0.1:1 takes no connection. Is it running?")
}

func TestServiceThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w, func(c *app.Config) { c.Timeout = 50 * time.Millisecond })
	hung := make(chan struct{})
	w.slow = hung
	t.Cleanup(func() { close(hung) })
	wants(t, b.press("/cookie"), "cookie", "no answer", "localhost:8081 did not answer within 50ms.")
}

func TestLongAnswerIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInAtWafer()
	w.inventory = `"` + strings.Repeat("z", 70<<10) + `"`
	page := b.press("/cookie")
	wants(t, page, "cookie", "The answer is over 64 KiB.")
	if len(page) > 32<<10 {
		t.Errorf("page of %d bytes", len(page))
	}
}

func TestInventoryThatDoesNotAnswerIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	b := newBrowser(t, w)
	b.signInAtWafer()
	w.inventory = `{"id":"1001","item":"paper","count":2}],"note":"The inventory does not answer.","more":[`
	wants(t, b.press("/cookie"), "cookie", "<b>inventory</b><span>no answer</span>")
}
