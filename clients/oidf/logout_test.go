package oidf

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/clients/rig"
)

// leave goes to the end of the session with parameters.
func (f *flow) leave(params ...string) rig.Page {
	f.t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return f.person.Visit(f.party.Endpoint("end_session_endpoint")+"?"+q.Encode(), rig.LoggedOut)
}

// gone reports whether the person is signed out.
func (f *flow) gone() bool {
	f.t.Helper()
	page := f.visit("prompt", "none")
	return page.Back && page.Params.Get("error") == "login_required"
}

// asked wants that nobody is led anywhere, and that the session ends only when the
// person says so, or, on an error page, not at all.
func (f *flow) asked(page rig.Page) {
	f.t.Helper()
	if page.Back {
		f.t.Fatalf("led to %s", page.URL)
	}
	if f.gone() {
		f.t.Fatal("signed out without being asked")
	}
	if page.Status == http.StatusBadRequest {
		return
	}
	after := f.person.Submit(page, rig.LoggedOut, nil)
	if after.Back {
		f.t.Fatalf("led to %s", after.URL)
	}
	if !f.gone() {
		f.t.Error("still signed in")
	}
}

var logouts = []module{
	{"oidcc-rp-initiated-logout-discovery-endpoint-verification", func(f *flow) { f.party.Endpoint("end_session_endpoint") }},
	{"oidcc-rp-initiated-logout", func(f *flow) {
		page := f.leave("id_token_hint", f.tokens().Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut, "state", "some state")
		if !page.Back || page.Params.Get("state") != "some state" || !f.gone() {
			f.t.Errorf("back=%v %v", page.Back, page.Params)
		}
	}},
	{"oidcc-rp-initiated-logout-no-state", func(f *flow) {
		page := f.leave("id_token_hint", f.tokens().Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut)
		if !page.Back || page.Params.Has("state") || !f.gone() {
			f.t.Errorf("back=%v %v", page.Back, page.Params)
		}
	}},
	{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func(f *flow) {
		f.asked(f.leave("id_token_hint", f.tokens().Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut+"/second", "state", "s"))
	}},
	{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(f *flow) {
		f.asked(f.leave("id_token_hint", f.tokens().Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut+"?foo=bar", "state", "s"))
	}},
	{"oidcc-rp-initiated-logout-modified-id-token-hint", func(f *flow) {
		parts := strings.Split(f.tokens().Text("id_token"), ".")
		body, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			f.t.Fatal(err)
		}
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(body), `"sub":"usr`, `"sub":"usx`, 1)))
		f.asked(f.leave("id_token_hint", strings.Join(parts, "."), "post_logout_redirect_uri", rig.LoggedOut))
	}},
	{"oidcc-rp-initiated-logout-bad-id-token-hint", func(f *flow) {
		f.tokens()
		f.asked(f.leave("id_token_hint", "bad", "post_logout_redirect_uri", rig.LoggedOut))
	}},
	{"oidcc-rp-initiated-logout-no-id-token-hint", func(f *flow) {
		f.tokens()
		f.asked(f.leave("post_logout_redirect_uri", rig.LoggedOut, "state", "s"))
	}},
	{"oidcc-rp-initiated-logout-no-params", func(f *flow) {
		f.tokens()
		f.asked(f.leave())
	}},
	{"oidcc-rp-initiated-logout-only-state", func(f *flow) {
		f.tokens()
		f.asked(f.leave("state", "s"))
	}},
	{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func(f *flow) {
		page := f.leave("id_token_hint", f.tokens().Text("id_token"))
		if page.Back || !f.gone() {
			f.t.Errorf("back=%v at %s", page.Back, page.URL)
		}
	}},
}

func TestRPInitiatedLogout(t *testing.T) {
	t.Parallel()
	plan(t, suite{issuer: rig.Serve(t, setupBasic(""))}, logouts)
}

func TestFrontchannelLogout(t *testing.T) {
	t.Parallel()
	front := `
      frontchannel_logout_uri: http://127.0.0.1:9/front?client=first
      frontchannel_logout_session_required: true`
	plan(t, suite{issuer: rig.Serve(t, setupBasic(front))}, []module{
		{"oidcc-frontchannel-logout-discovery-endpoint-verification", func(f *flow) {
			if f.party.Meta["frontchannel_logout_supported"] != true || f.party.Meta["frontchannel_logout_session_supported"] != true {
				f.t.Errorf("discovery says %v", f.party.Meta["frontchannel_logout_supported"])
			}
		}},
		{"oidcc-frontchannel-rp-initiated-logout", func(f *flow) {
			a := f.tokens()
			page := f.leave("id_token_hint", a.Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut, "state", "s")
			want := url.Values{"client": {"first"}, "iss": {f.suite.issuer}, "sid": {text(f.idToken(a)["sid"])}}
			frame := strings.ReplaceAll(page.Text, "&amp;", "&")
			if !strings.Contains(frame, "<iframe") || !strings.Contains(frame, "http://127.0.0.1:9/front?"+want.Encode()) {
				f.t.Errorf("the page has no frame for %s:\n%.2000s", want.Encode(), page.Text)
			}
			if !f.gone() {
				f.t.Error("still signed in")
			}
		}},
	})
}

func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	notices := make(chan string, 10)
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		notices <- string(body)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(client.Close)
	setup := strings.Replace(setupBasic(""), "    grants: [authorization_code, refresh_token]\n",
		"    grants: [authorization_code, refresh_token]\n    backchannel_logout_uri: "+client.URL+"/logout\n    backchannel_logout_session_required: true\n", 1)
	plan(t, suite{issuer: rig.Serve(t, setup, "--outbound", "127.0.0.0/8")}, []module{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", func(f *flow) {
			if f.party.Meta["backchannel_logout_supported"] != true || f.party.Meta["backchannel_logout_session_supported"] != true {
				f.t.Errorf("discovery says %v", f.party.Meta["backchannel_logout_supported"])
			}
		}},
		{"oidcc-backchannel-rp-initiated-logout", func(f *flow) {
			a := f.tokens()
			first := f.idToken(a)
			f.leave("id_token_hint", a.Text("id_token"), "post_logout_redirect_uri", rig.LoggedOut)
			select {
			case body := <-notices:
				form, err := url.ParseQuery(body)
				if err != nil {
					f.t.Fatal(err)
				}
				header, claims := f.party.Claims(form.Get("logout_token"))
				events, _ := claims["events"].(map[string]any)
				_, event := events["http://schemas.openid.net/event/backchannel-logout"]
				if header["typ"] != "logout+jwt" || claims["aud"] != "first" || claims["sid"] != first["sid"] || claims["sub"] != first["sub"] || !event || claims["nonce"] != nil {
					f.t.Errorf("the notice says %v %v", header, claims)
				}
			case <-time.After(20 * time.Second):
				f.t.Error("nobody was told")
			}
		}},
	})
}
