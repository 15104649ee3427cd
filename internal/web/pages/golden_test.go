package pages_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// shot is one page as it is looked at for a golden file.
type shot struct {
	name   string
	status int
	take   func(g *rig, b *browser) page
}

var shots = []shot{
	{"account", 200, func(g *rig, b *browser) page {
		other := g.browser()
		other.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
		other.signIn(ada)
		g.clock.forward(3 * time.Hour)
		b.signIn(ada)
		b.allow("openid email orders:read")
		g.clock.forward(3 * time.Minute)
		return b.get("/account?done=ended")
	}},
	{"account-refused", 403, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.send(b.get("/account"), "/account/change-password", "current", "wrong", "new", better)
	}},
	{"consent", 200, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.get(link("scope", "openid profile email address phone offline_access orders:read"))
	}},
	{"consent-unknown", 200, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.get(link("client_id", "cli_unknown", "redirect_uri", "https://unknown.example/cb"))
	}},
	{"consent-native", 200, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.get(link("client_id", "native", "redirect_uri", "http://127.0.0.1/cb", "scope", "orders:read"))
	}},
	{"device", 200, func(_ *rig, b *browser) page { b.signIn(ada); return b.get("/device?user_code=BCDF-GHJK") }},
	{"device-allowed", 200, func(_ *rig, b *browser) page { b.signIn(ada); return b.get("/device?done=allowed") }},
	{"device-confirm", 200, func(g *rig, b *browser) page {
		d := g.device("openid", "email", "orders:read")
		g.clock.forward(2 * time.Minute)
		b.signIn(ada)
		return b.send(b.get("/device"), "/device", "user_code", d.UserCode)
	}},
	{"device-refused", 400, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.send(b.get("/device"), "/device", "user_code", `"><script>`)
	}},
	{"formpost", 200, func(_ *rig, b *browser) page { return b.get(link("response_mode", "form_post", "prompt", "none")) }},
	{"endsession", 200, func(_ *rig, b *browser) page {
		b.signIn(ada)
		return b.get("/oauth/logout?client_id=rp&state=s&post_logout_redirect_uri=" + rpBye)
	}},
	{"endsession-gone", 200, func(_ *rig, b *browser) page {
		return b.get("/oauth/logout?client_id=rp&post_logout_redirect_uri=" + rpBye)
	}},
	{"leaving", 200, func(_ *rig, b *browser) page {
		b.signIn(ada)
		token := b.idToken("front")
		b.idToken("front2")
		return b.get("/oauth/logout?state=s&post_logout_redirect_uri=https://front.example/bye&id_token_hint=" + token)
	}},
	{"login", 200, func(_ *rig, b *browser) page { return b.get("/login") }},
	{"login-client", 200, func(_ *rig, b *browser) page {
		return b.get("/login?client_id=shop-web&return_to=https://shop.example/callback")
	}},
	{"login-flow", 200, func(_ *rig, b *browser) page { return b.follow(b.get(link("login_hint", ada))) }},
	{"login-refused", 401, func(_ *rig, b *browser) page {
		return b.send(b.get("/login"), "/login", "login", `"><script>alert(1)</script>`, "password", "wrong")
	}},
	{"logout", 200, func(_ *rig, b *browser) page { b.signIn(ada); return b.get("/logout") }},
	{"logout-gone", 200, func(_ *rig, b *browser) page { return b.get("/logout") }},
	{"problem", 400, func(_ *rig, b *browser) page { return b.get("/login?return_to=https://evil.example/") }},
	{"setup", 200, func(_ *rig, b *browser) page { return b.get("/setup") }},
	{"setup-refused", 403, func(_ *rig, b *browser) page {
		return b.send(b.get("/setup"), "/setup", "token", "wrong", "login", "root@example.com", "password", good)
	}},
	{"start", 200, func(_ *rig, b *browser) page { return b.get("/") }},
	{"start-in", 200, func(_ *rig, b *browser) page { b.signIn(ada); return b.get("/") }},
}

// inGerman are the pages that are looked at in German too: those with the most words
// put together.
var inGerman = []string{"account", "consent", "device-confirm", "login-refused"}

var varying = []struct{ pattern, with string }{
	{`nonce="[^"]*"`, `nonce="NONCE"`},
	{`name="csrf" value="[^"]{43}"`, `name="csrf" value="CODE"`},
	{`name="(step|flow)" value="[^"]{43,}"`, `name="$1" value="SEALED"`},
	{`[B-Z]{4}-[B-Z]{4}([<"])`, `USER-CODE$1`},
	{`ses_[0-9a-z]{26}`, `ses_ID`},
	{`-[0-9a-f]{16}\.`, `-DIGEST.`},
	{`iss=https[^&]*`, `iss=ISSUER`},
	{`127\.0\.0\.1:[0-9]+`, `HOST`},
}

func TestPagesLookAsTheyDid(t *testing.T) {
	t.Parallel()
	for _, s := range shots {
		for _, lang := range []string{"en", "de"} {
			if lang == "de" && !slices.Contains(inGerman, s.name) {
				continue
			}
			t.Run(lang+" "+s.name, func(t *testing.T) {
				t.Parallel()
				looksAsItDid(t, s, lang)
			})
		}
	}
}

// looksAsItDid compares with a golden file: name.html, and name.de.html.
func looksAsItDid(t *testing.T, s shot, lang string) {
	g := newRig(t)
	b := g.browser()
	b.language = lang
	got := s.take(g, b)
	if got.status != s.status {
		t.Fatalf("status %d, want %d\n%s", got.status, s.status, got.body)
	}
	body := got.body
	for _, v := range varying {
		body = regexp.MustCompile(v.pattern).ReplaceAllString(body, v.with)
	}
	file := filepath.Join("testdata", s.name+map[string]string{"en": "", "de": ".de"}[lang]+".html")
	if *update {
		g.must(os.WriteFile(file, []byte(body), 0o644))
	}
	want, err := os.ReadFile(file)
	g.must(err)
	if body != string(want) {
		t.Errorf("%s differs from %s; look at it, then run with -update\n%s", s.name, file, body)
	}
}

// inline is what the policy would block, so it must not be there.
var inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script[^>]*>[^<]|<script(?:[^>]*)>\s*[^<\s]`)

func TestPagesHaveNothingInlineAndStrictHeaders(t *testing.T) {
	t.Parallel()
	if !inline.MatchString(`<p onclick="x">`) || !inline.MatchString(`<script>x</script>`) {
		t.Fatal("the pattern finds nothing")
	}
	for _, s := range shots {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			got := s.take(g, g.browser())
			if found := inline.FindString(got.body); found != "" {
				t.Errorf("inline: %s", found)
			}
			referrer := "same-origin"
			if s.name == "formpost" {
				referrer = "no-referrer" // an answer is nobody's business but the client's
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": referrer, "Cross-Origin-Resource-Policy": "same-origin",
				"X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8", "Vary": "Accept-Language, Cookie",
			} {
				if have := got.header.Get(name); have != want {
					t.Errorf("%s: %q, want %q", name, have, want)
				}
			}
			policy := got.header.Get("Content-Security-Policy")
			for _, part := range []string{
				"default-src 'none'", "style-src 'nonce-", "img-src 'self'", "script-src 'nonce-", "frame-ancestors 'none'", "base-uri 'none'",
			} {
				if !strings.Contains(policy, part) {
					t.Errorf("policy %q lacks %q", policy, part)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("policy %q", policy)
			}
			nonces := regexp.MustCompile(`nonce="([^"]*)"`).FindAllString(got.body, -1)
			if tags := strings.Count(got.body, "<script") + strings.Count(got.body, `rel="stylesheet"`); len(nonces) != tags || tags == 0 {
				t.Errorf("%d scripts and styles, %d nonces", tags, len(nonces))
			}
			if nonce := regexp.MustCompile(`nonce-([^']*)'`).FindStringSubmatch(policy); strings.Contains(got.body, "<script") && !strings.Contains(got.body, `nonce="`+nonce[1]+`"`) {
				t.Error("the script has another nonce than the policy")
			}
		})
	}
}

func TestFirstPaintOfTheLoginIsUnder60kB(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	p := b.get("/login")
	total := len(p.body)
	for _, m := range regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(p.body, -1) {
		got := b.get(m[1])
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d", m[1], got.status)
		}
		total += len(got.body)
	}
	if total > 60_000 || total < 5_000 {
		t.Errorf("%d bytes", total)
	}
}

func TestStaticFilesAreKeptForGood(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	b := g.browser()
	path := regexp.MustCompile(`/static/wafer-[0-9a-f]+\.css`).FindString(b.get("/login").body)
	got := b.get(path)
	tag := got.header.Get("ETag")
	if got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || tag == "" || got.header.Get("Set-Cookie") != "" {
		t.Fatalf("%s: %d %v", path, got.status, got.header)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+path, nil)
	g.must(err)
	r.Header.Set("If-None-Match", tag)
	if again := b.do(r); again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("again: %d, want 304", again.status)
	}
	for _, wrong := range []string{"/static/wafer.css", "/static/..%2fpages.go", "/static/"} {
		if got := b.get(wrong); got.status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", wrong, got.status)
		}
	}
}
