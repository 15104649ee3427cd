package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
)

// web is what other servers answer, by address.
type web struct {
	mu    sync.Mutex
	pages map[string]admin.Fetched
	asked atomic.Int32
	gate  chan struct{} // what answers wait for; nil: for nothing
}

func (w *web) fetch(_ context.Context, uri string, bytes int64) (admin.Fetched, error) {
	w.asked.Add(1)
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.pages[uri]
	if !ok || int64(len(d.Body)) > bytes {
		return admin.Fetched{}, errors.New("nothing there")
	}
	return d, nil
}

func openHouse(t *testing.T, change ...func(*admin.Registration)) (*house, *web) {
	h, w := newHouse(t), &web{pages: map[string]admin.Fetched{}}
	h.Registration = admin.Registration{
		Mode: admin.RegistrationOpen, Documents: true, Fetch: w.fetch,
		Methods: []client.AuthMethod{client.AuthSecretBasic, client.AuthSecretPost, client.AuthPrivateKeyJWT},
	}
	for _, f := range change {
		f(&h.Registration)
	}
	return h, w
}

func (h *house) register(t *testing.T, metadata string) (admin.Registered, error) {
	t.Helper()
	return h.Register(t.Context(), admin.Enrollment{Metadata: json.RawMessage(metadata), Address: netip.MustParseAddr("192.0.2.1")})
}

func wantOAuth(t *testing.T, what string, err error, code string) {
	t.Helper()
	var why *oidc.Error
	if !errors.As(err, &why) || why.Code != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func TestSectorNamesEveryRedirectURI(t *testing.T) {
	t.Parallel()
	h, w := openHouse(t)
	const both = `{"redirect_uris":["https://app.example/a","https://app.example/b"],"sector_identifier_uri":"https://app.example/sector"}`
	say := func(body string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pages["https://app.example/sector"] = admin.Fetched{Body: []byte(body)}
	}
	for _, bad := range []string{`["https://app.example/a"]`, `{}`, `[]`, `["https://app.example/a","https://app.example/B"]`} {
		say(bad)
		_, err := h.register(t, both)
		wantOAuth(t, bad, err, oidc.InvalidClientMetadata)
	}
	say(`["https://app.example/b","https://app.example/a","https://app.example/c"]`)
	if _, err := h.register(t, both); err != nil {
		t.Error(err)
	}
	_, err := h.register(t, `{"redirect_uris":["https://app.example/a"],"sector_identifier_uri":"https://inner.example/secret"}`)
	wantOAuth(t, "nothing there", err, oidc.InvalidClientMetadata)
}

func TestRegisteredClientsAreOfferedWhatTheOperatorSays(t *testing.T) {
	t.Parallel()
	h, _ := openHouse(t, func(r *admin.Registration) {
		r.APIs = map[string][]string{
			orders: {"orders:read"}, vault: {"*"}, "https://later.example": {"*"}, api.Management: {"*"}, api.Userinfo: {"openid", "email"},
		}
	})
	got, err := h.register(t, `{"redirect_uris":["https://app.example/a"]}`)
	must(t, err)
	apis := got.Client.APIs
	if len(apis) != 3 || !slices.Equal(apis[orders], []string{"orders:read"}) || !slices.Equal(apis[vault], []string{"vault:open"}) ||
		!slices.Equal(apis[api.Userinfo], []string{"email", "openid"}) {
		t.Errorf("offered %v", apis)
	}
	for _, scope := range []string{"orders:write", "users:read", "profile", "openid users:read"} {
		_, err := h.register(t, `{"redirect_uris":["https://app.example/a"],"scope":"`+scope+`"}`)
		wantOAuth(t, scope, err, oidc.InvalidClientMetadata)
	}
	_, err = h.EditAPI(t.Context(), admin.ByCLI(), vault, admin.APIEdit{Disabled: ptr(true)})
	must(t, err)
	got, err = h.register(t, `{"redirect_uris":["https://app.example/a"],"scope":"orders:read"}`)
	must(t, err)
	if apis := got.Client.APIs; len(apis[api.Userinfo]) != 0 || len(apis[orders]) != 1 || len(apis[vault]) != 0 {
		t.Errorf("asked for one scope: %v", apis)
	}
	_, err = h.register(t, `{"redirect_uris":["https://app.example/a"],"scope":"vault:open"}`)
	wantOAuth(t, "a disabled API", err, oidc.InvalidClientMetadata)
	// What an operator does later, no registered client may have either.
	_, err = h.EditClient(t.Context(), admin.ByCLI(), got.Client.ID, admin.ClientEdit{APIs: &map[string][]string{api.Management: {"users:read"}}})
	wantCode(t, err, fault.Invalid)
	_, err = h.EditClient(t.Context(), admin.ByCLI(), got.Client.ID, admin.ClientEdit{FirstParty: ptr(true)})
	wantCode(t, err, fault.Invalid)
}

func TestRegistrationHoldsClientsToTheProfileOfTheOperator(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile client.Profile
		method  string
		want    client.Profile // "": refused
	}{
		{"", "client_secret_basic", client.Strict}, {client.Certification, "client_secret_basic", client.Certification},
		{client.Certification, "none", client.Strict}, {client.FAPI2, "client_secret_basic", ""}, {client.FAPI2, "none", ""},
	} {
		h, _ := openHouse(t, func(r *admin.Registration) { r.Profile = c.profile })
		got, err := h.register(t, `{"redirect_uris":["https://app.example/a"],"profile":"certification","token_endpoint_auth_method":"`+c.method+`"}`)
		if (err == nil) != (c.want != "") || err == nil && got.Client.Holds() != c.want {
			t.Errorf("%s, %s: %s, %v", c.profile, c.method, got.Client.Holds(), err)
		}
	}
}

func TestRegistrationIsWrittenDown(t *testing.T) {
	t.Parallel()
	h, _ := openHouse(t)
	var got admin.Registered
	_, events := h.since(t, func() {
		inv, err := h.Invite(t.Context(), admin.By{Actor: "usr_someone"}, admin.Invitation{Uses: 2})
		must(t, err)
		got, err = h.Register(t.Context(), admin.Enrollment{Metadata: json.RawMessage(`{"redirect_uris":["https://app.example/a"]}`), Token: inv.Token})
		must(t, err)
		got, err = h.Reregister(t.Context(), got.Client.ID, got.Token, json.RawMessage(`{"client_id":"`+got.Client.ID+`","redirect_uris":["https://app.example/b"]}`))
		must(t, err)
		must(t, h.Unregister(t.Context(), got.Client.ID, got.Token))
	})
	var actions []string
	for _, e := range events {
		actions = append(actions, e.Action+" by "+e.Actor+": "+e.Detail)
		if contains(e.Detail, got.Token) {
			t.Errorf("the audit log holds a token: %+v", e)
		}
	}
	id := got.Client.ID
	for _, want := range []string{
		"client.invite by usr_someone: 2 until 2026-11-02T12:00:00Z", "client.register by " + id + ": invited by usr_someone",
		"client.edit by " + id + ": redirect_uris [https://app.example/a] -> [https://app.example/b]", "client.edit by " + id + ": registration token changed",
	} {
		if !slices.Contains(actions, want) {
			t.Errorf("no %q in %q", want, actions)
		}
	}
	for _, bad := range []admin.Invitation{{Uses: -1}, {Uses: 1001}, {For: time.Second}, {For: 721 * time.Hour}} {
		_, err := h.Invite(t.Context(), admin.ByCLI(), bad)
		wantCode(t, err, fault.Invalid)
	}
}

const docID = "https://app.example/client.json"

func (w *web) describe(more string, age time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[docID] = admin.Fetched{
		Body: []byte(`{"client_id":"` + docID + `","redirect_uris":["https://app.example/a"]` + more + `}`), Type: "application/json", MaxAge: age,
	}
}

func TestDocumentIsFetchedOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	h, w := openHouse(t)
	synctest.Test(t, func(t *testing.T) {
		w.describe("", 0)
		w.gate = make(chan struct{})
		for range 8 {
			go func() {
				if err := h.RefreshDocument(t.Context(), docID); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		close(w.gate)
		synctest.Wait()
		if n := w.asked.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	})
}

func TestDocumentIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ says, fresh time.Duration }{
		{0, 5 * time.Minute}, {time.Second, 5 * time.Minute}, {time.Hour, time.Hour}, {72 * time.Hour, 24 * time.Hour},
	} {
		h, w := openHouse(t)
		w.describe("", c.says)
		for i, step := range []struct {
			wait time.Duration
			want int32
		}{{0, 1}, {c.fresh - time.Second, 1}, {2 * time.Second, 2}} {
			h.clock.forward(step.wait)
			if err := h.RefreshDocument(t.Context(), docID); err != nil || w.asked.Load() != step.want {
				t.Errorf("max-age %s, step %d: fetched %d times, %v", c.says, i, w.asked.Load(), err)
			}
		}
	}
}

func TestDocumentThatIsGoneIsAskedForEachTime(t *testing.T) {
	t.Parallel()
	h, w := openHouse(t)
	for n := range int32(3) {
		wantOAuth(t, "nothing there", h.RefreshDocument(t.Context(), docID), oidc.InvalidClient)
		if w.asked.Load() != n+1 {
			t.Errorf("asked %d times", w.asked.Load())
		}
	}
	w.describe("", 0)
	must(t, h.RefreshDocument(t.Context(), docID))
	must(t, h.RemoveClient(t.Context(), admin.ByCLI(), docID))
	must(t, h.RefreshDocument(t.Context(), docID)) // the row is gone: what was known is worth nothing
	if _, err := h.Client(t.Context(), docID); err != nil {
		t.Error(err)
	}
	h.clock.forward(time.Hour)
	w.mu.Lock()
	clear(w.pages)
	w.mu.Unlock()
	wantOAuth(t, "taken offline", h.RefreshDocument(t.Context(), docID), oidc.InvalidClient)
	for _, id := range []string{"orders-api", "http://localhost/client.json", "https://app.example/c?x=1", "https://app.example/../c", "javascript:x"} {
		before := w.asked.Load()
		if err := h.RefreshDocument(t.Context(), id); err != nil || w.asked.Load() != before {
			t.Errorf("%s: %v, asked %d times", id, err, w.asked.Load()-before)
		}
	}
}

func TestAttackDomainThatInventsClientsIsSlowed(t *testing.T) {
	t.Parallel()
	h, w := openHouse(t)
	add := func(id string) error {
		w.mu.Lock()
		w.pages[id] = admin.Fetched{Body: []byte(`{"client_id":"` + id + `","redirect_uris":["https://app.example/a"]}`), Type: "application/json"}
		w.mu.Unlock()
		return h.RefreshDocument(t.Context(), id)
	}
	for i := range 21 {
		must(t, add("https://evil.test/"+string(rune('a'+i))))
	}
	wantCode(t, add("https://evil.test/z"), fault.TooMany)
	must(t, add("https://app.example/good"))
	h.clock.forward(10 * time.Minute)
	must(t, add("https://evil.test/z"))
}
