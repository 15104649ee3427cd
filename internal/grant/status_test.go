package grant_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/verify/jose"
)

// withLists switches status lists on for the orders.
func (h *house) withLists() *statuslist.Service {
	h.t.Helper()
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	must(h.t, err)
	lists := statuslist.New(statuslist.Config{
		Store: h.store, Issuer: issuer, Key: root.Derive("status lists"), Now: h.clock.now,
		Signer: func() (*jose.Key, bool) { return h.ring.Signer(orders) },
	})
	h.Statuses = lists
	a, _, err := h.store.APIByID(h.t.Context(), orders)
	must(h.t, err)
	a.Token.StatusList = true
	must(h.t, a.Check())
	done, err := h.store.ChangeAPI(h.t.Context(), a, revoke.Effects{})
	must(h.t, err)
	if !done {
		h.t.Fatal("API not changed")
	}
	return lists
}

type placed struct {
	URI   string `json:"uri"`
	Index *int   `json:"idx"`
}

// place is the claim status.status_list of a token.
func place(t *testing.T, token string) (placed, bool) {
	t.Helper()
	body, err := jose.DecodeSegment(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct {
		Status *struct {
			List placed `json:"status_list"`
		}
	}
	must(t, json.Unmarshal(body, &claims))
	if claims.Status == nil {
		return placed{}, false
	}
	if claims.Status.List.Index == nil || claims.Status.List.URI == "" {
		t.Fatalf("claim is not whole: %s", body)
	}
	return claims.Status.List, true
}

// bit is what a verifier that is not ours finds for a token.
func bit(t *testing.T, lists *statuslist.Service, token string) int {
	t.Helper()
	must(t, lists.Refresh(t.Context()))
	at, ok := place(t, token)
	if !ok {
		t.Fatal("the token has no status claim")
	}
	d, found, err := lists.Published(t.Context(), strings.TrimPrefix(at.URI, issuer+"/status-lists/"))
	must(t, err)
	if !found {
		t.Fatalf("no list %s", at.URI)
	}
	var claims struct {
		List struct{ Lst string } `json:"status_list"`
	}
	body, err := jose.DecodeSegment(strings.Split(d.Text, ".")[1])
	must(t, err)
	must(t, json.Unmarshal(body, &claims))
	packed, err := jose.DecodeSegment(claims.List.Lst)
	must(t, err)
	r, err := zlib.NewReader(bytes.NewReader(packed))
	must(t, err)
	raw, err := io.ReadAll(r)
	must(t, err)
	return int(raw[*at.Index/8]>>(*at.Index%8)) & 1
}

func wantBit(t *testing.T, lists *statuslist.Service, token string, want int) {
	t.Helper()
	if got := bit(t, lists, token); got != want {
		t.Errorf("status is %d, want %d", got, want)
	}
}

func TestTokensNameTheirPlaceOnlyWhereAskedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, before := h.signIn(orders)
	if _, ok := place(t, before.AccessToken); ok {
		t.Error("a status claim that nobody asked for")
	}
	lists := h.withLists()
	_, secret, first := h.signIn(orders)
	wantBit(t, lists, first.AccessToken, 0)
	h.wantActive(first.AccessToken, true)
	second, err := h.refresh(first.RefreshToken)
	must(t, err)
	a, _ := place(t, first.AccessToken)
	b, _ := place(t, second.AccessToken)
	if a.URI != b.URI || *a.Index != *b.Index {
		t.Error("two tokens of one grant have two places")
	}
	swapped, err := h.Swap(t.Context(), secret, grant.Ask{ClientID: "shop", API: orders})
	must(t, err)
	if c, _ := place(t, swapped.AccessToken); *c.Index == *a.Index {
		t.Error("a token without the grant has the grant's place")
	}
	_, _, other := h.signIn(notes)
	if _, ok := place(t, other.AccessToken); ok {
		t.Error("a status claim for another API")
	}
}

func TestEndOfASessionShowsInTheList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lists := h.withLists()
	s, _, tok := h.signIn(orders)
	_, _, mine := h.signIn(orders)
	wantBit(t, lists, tok.AccessToken, 0)
	_, err := h.store.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Session, s.ID, "logout", h.clock.now())}})
	must(t, err)
	wantBit(t, lists, tok.AccessToken, 1)
	wantBit(t, lists, mine.AccessToken, 0)
}

// RFC 7009: the log names the token, and the list must not stay silent.
func TestTokenTakenBackByItselfShowsInTheList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lists := h.withLists()
	_, _, tok := h.signIn(orders)
	must(t, h.Revoke(t.Context(), h.client("other"), tok.AccessToken, ""))
	wantBit(t, lists, tok.AccessToken, 0) // another client's is left alone
	must(t, h.Revoke(t.Context(), h.client("shop"), tok.AccessToken, ""))
	wantBit(t, lists, tok.AccessToken, 1)
	h.wantActive(tok.AccessToken, false)
	next, err := h.refresh(tok.RefreshToken)
	must(t, err)
	wantBit(t, lists, next.AccessToken, 0)
	h.wantActive(next.AccessToken, true)
}

func TestTokensOfAClientItselfHaveAPlaceEach(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lists := h.withLists()
	mint := func() string {
		tok, err := h.ClientCredentials(t.Context(), h.client("orders-api"), grant.Ask{API: orders})
		must(t, err)
		return tok.AccessToken
	}
	one, two := mint(), mint()
	must(t, h.Revoke(t.Context(), h.client("orders-api"), one, ""))
	wantBit(t, lists, one, 1)
	wantBit(t, lists, two, 0)
	_, err := h.store.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Client, "orders-api", "admin", h.clock.now())}})
	must(t, err)
	wantBit(t, lists, two, 1)
	wantBit(t, lists, mint(), 0)
}

// late is a store whose log goes on between the reading of a state and the signing.
type late struct {
	grant.Statuses
	first func()
}

func (l *late) Assign(ctx context.Context, h statuslist.Holder, rsn int64, ends time.Time) (statuslist.Ref, error) {
	if l.first != nil {
		l.first()
		l.first = nil
	}
	return l.Statuses.Assign(ctx, h, rsn, ends)
}

// Roles change while a token is on its way: it must not be signed, for its place
// would never be marked; and the next one is good.
func TestTokenOvertakenByAChangeOfRolesIsNotSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lists := h.withLists()
	_, _, tok := h.signIn(orders)
	h.Statuses = &late{lists, func() {
		_, err := h.store.Record(t.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(revoke.Claims, h.ada.ID, "roles", h.clock.now())}})
		must(t, err)
	}}
	if _, err := h.refresh(tok.RefreshToken); !fault.Is(err, fault.Unavailable) {
		t.Errorf("overtaken: %v", err)
	}
	next, err := h.refresh(tok.RefreshToken) // the same refresh token, within the window
	must(t, err)
	wantBit(t, lists, tok.AccessToken, 1)
	wantBit(t, lists, next.AccessToken, 0)
}

func TestOpaqueTokensHaveNoPlace(t *testing.T) {
	t.Parallel()
	a := api.API{ID: vault, Token: api.Token{Format: api.Opaque, StatusList: true}}.WithDefaults()
	if err := a.Check(); !fault.Is(err, fault.Invalid) {
		t.Errorf("accepted: %v", err)
	}
	a.Token.Format = api.JWT
	must(t, a.Check())
}
