package statuslist_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/statuslist"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/verify/jose"
)

const issuer = "https://id.example"

// decode is what a verifier does with lst, written from section 8.3 and 4.1 of
// draft-ietf-oauth-status-list-20 alone: base64url without padding, ZLIB, and the
// bits of each byte from the least significant one.
func decode(t *testing.T, lst string) (status func(index int) int, length int) {
	t.Helper()
	packed, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return func(index int) int { return int(raw[index/8]>>(index%8)) & 1 }, len(raw) * 8
}

func ones(status func(int) int, length int) (all []int) {
	for i := range length {
		if status(i) == 1 {
			all = append(all, i)
		}
	}
	return all
}

// The vectors of draft-ietf-oauth-status-list-20, section 4.2 and appendix C.1.
const (
	shortVector = "eNrbuRgAAhcBXQ"
	longVector  = "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogE" +
		"AAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" +
		"AAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAA" +
		"A7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAA" +
		"ACAZC8L2AEb"
)

func TestDecoderReadsTheVectorsOfTheDraft(t *testing.T) {
	t.Parallel()
	status, length := decode(t, shortVector)
	if got := fmt.Sprint(ones(status, length), length); got != "[0 3 4 5 7 8 9 13 15] 16" {
		t.Errorf("short vector: %s", got)
	}
	status, length = decode(t, longVector)
	want := "[0 1993 25460 159495 495669 554353 645645 723232 854545 934534 1000345] 1048576"
	if got := fmt.Sprint(ones(status, length), length); got != want {
		t.Errorf("long vector: %s", got)
	}
}

func TestBitsArePackedAsTheDraftWants(t *testing.T) {
	t.Parallel()
	text, err := statuslist.Pack([]byte{0xb9, 0xa3})
	if err != nil {
		t.Fatal(err)
	}
	status, length := decode(t, text)
	wanted, _ := decode(t, shortVector)
	for i := range length {
		if status(i) != wanted(i) {
			t.Errorf("bit %d is %d", i, status(i))
		}
	}
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// house is a service over a memory store.
type house struct {
	*statuslist.Service
	t     *testing.T
	clock *clock
	store *memory.Store
	key   *jose.Key
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{t: time.Date(2026, 11, 1, 12, 20, 0, 0, time.UTC)}, store: memory.New()}
	var err error
	if h.key, err = jose.Generate(jose.EdDSA, "k"); err != nil {
		t.Fatal(err)
	}
	h.Service = h.node()
	return h
}

func keyOf(t *testing.T) *opaque.Key {
	t.Helper()
	root, err := opaque.NewRoot(make([]byte, opaque.RootSize))
	if err != nil {
		t.Fatal(err)
	}
	return root.Derive("status lists")
}

// node is another service over the same store.
func (h *house) node() *statuslist.Service {
	return statuslist.New(statuslist.Config{
		Store: h.store, Issuer: issuer, Key: keyOf(h.t), Signer: func() (*jose.Key, bool) { return h.key, h.key != nil }, Now: h.clock.now,
	})
}

func holder(user, session string) statuslist.Holder {
	return statuslist.Holder{UserID: user, SessionID: session, ClientID: "shop", APIID: "https://orders.example", KeyID: "k1"}
}

// assign gives a token that lives five minutes its place.
func (h *house) assign(who statuslist.Holder) statuslist.Ref {
	h.t.Helper()
	rsn, err := h.store.Head(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.Assign(h.t.Context(), who, rsn, h.clock.now().Add(5*time.Minute))
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) end(kind revoke.Kind, key string) {
	h.t.Helper()
	_, err := h.store.Record(h.t.Context(), revoke.Effects{Revoke: []revoke.Entry{revoke.New(kind, key, "test", h.clock.now())}})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) refresh() {
	h.t.Helper()
	if err := h.Refresh(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// body is what a signed list says.
type body struct {
	Subject string `json:"sub"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
	TTL     int64  `json:"ttl"`
	List    struct {
		Bits        int    `json:"bits"`
		List        string `json:"lst"`
		Aggregation string `json:"aggregation_uri"`
	} `json:"status_list"`
}

// fetch is the verifier: it gets the list of a token's claim, checks signature, type
// and subject, and reads it.
func (h *house) fetch(from *statuslist.Service, uri string) (*statuslist.Document, body) {
	h.t.Helper()
	d, found, err := from.Published(h.t.Context(), strings.TrimPrefix(uri, issuer+"/status-lists/"))
	if err != nil || !found {
		h.t.Fatalf("list %s: found=%v, %v", uri, found, err)
	}
	m, err := jose.Parse(d.Text, jose.Limits{Token: 1 << 20})
	if err != nil {
		h.t.Fatal(err)
	}
	payload, err := m.Verify(h.key.Public())
	if err != nil {
		h.t.Fatal(err)
	}
	var b body
	if err := json.Unmarshal(payload, &b); err != nil {
		h.t.Fatal(err)
	}
	if m.Header.Type != "statuslist+jwt" || b.Subject != uri || b.List.Bits != 1 {
		h.t.Errorf("header %+v, payload %.200s", m.Header, payload)
	}
	return d, b
}

func (h *house) status(r statuslist.Ref) int {
	h.t.Helper()
	_, b := h.fetch(h.Service, r.URI)
	status, length := decode(h.t, b.List.List)
	if length != 1<<20 || r.Index < 0 || r.Index >= length {
		h.t.Fatalf("index %d of %d", r.Index, length)
	}
	return status(r.Index)
}

func (h *house) want(what string, r statuslist.Ref, want int) {
	h.t.Helper()
	if got := h.status(r); got != want {
		h.t.Errorf("%s: status %d, want %d", what, got, want)
	}
}

func TestListSaysWhatTheLogSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada, bob := h.assign(holder("ada", "s1")), h.assign(holder("bob", "s2"))
	if again := h.assign(holder("ada", "s1")); again != ada {
		t.Errorf("the next token of a session stands at %v, not %v", again, ada)
	}
	h.want("before", ada, 0) // also: a list is there as soon as a token names it
	h.end(revoke.Session, "s1")
	h.refresh()
	h.want("ended", ada, 1)
	h.want("another session", bob, 0)
	fresh := h.assign(holder("ada", "s3"))
	h.refresh()
	h.want("a new session of the same user", fresh, 0)
	h.end(revoke.User, "bob")
	h.refresh()
	h.want("a user", bob, 1)
	h.want("another user", fresh, 0)
}

func TestTokenIsNotSignedWhenItsStateWasTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, ends := t.Context(), h.clock.now().Add(5*time.Minute)
	if _, err := h.Assign(ctx, holder("ada", "s1"), 0, ends); err != nil {
		t.Fatal(err)
	}
	h.end(revoke.Claims, "ada")
	if _, err := h.Assign(ctx, holder("ada", "s1"), 0, ends); !errors.Is(err, statuslist.ErrEnded) {
		t.Errorf("state from before the change of roles: %v", err)
	}
	if _, err := h.Assign(ctx, holder("ada", "s1"), 1, ends); err != nil {
		t.Errorf("state from after it: %v", err)
	}
}

func TestPlaceTakenBackByHandIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, other := h.assign(holder("ada", "s1")), h.assign(holder("ada", "s2"))
	for _, r := range []statuslist.Ref{
		{}, {URI: one.URI, Index: -1}, {URI: one.URI, Index: 1 << 20}, {URI: "https://evil.example/status-lists/x", Index: one.Index},
		{URI: one.URI[:len(one.URI)-1] + "x", Index: one.Index},
	} {
		if err := h.End(t.Context(), r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
	h.refresh()
	h.want("before", one, 0)
	if err := h.End(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	h.refresh()
	h.want("taken back", one, 1)
	h.want("another", other, 0)
	if next := h.assign(holder("ada", "s1")); next == one {
		t.Error("given again")
	}
}

func TestListsGoWithTheirWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.assign(holder("ada", "s1")) // ends at 12:25
	h.clock.forward(34 * time.Minute)      // 12:54
	if again := h.assign(holder("ada", "s1")); again != first {
		t.Error("another place within the window")
	}
	h.clock.forward(2 * time.Minute) // a token now ends at 13:01
	second := h.assign(holder("ada", "s1"))
	if second.URI == first.URI {
		t.Fatal("one list for two windows")
	}
	h.refresh()
	if got := h.URIs(); len(got) != 2 || got[0] != first.URI || got[1] != second.URI {
		t.Errorf("aggregation %v", got)
	}
	for range 2 { // 13:12, past 13:00 and the grace
		h.clock.forward(8 * time.Minute)
		if err := h.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.refresh()
	}
	if got := h.URIs(); len(got) != 1 || got[0] != second.URI {
		t.Errorf("aggregation %v", got)
	}
	if _, found, err := h.Published(t.Context(), strings.TrimPrefix(first.URI, issuer+"/status-lists/")); err != nil || found {
		t.Errorf("a list that is over: found=%v, %v", found, err)
	}
	h.want("the other one", second, 0)
}

func TestListIsSignedAnewByItsTTLAndPackedOnlyWhenItChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.assign(holder("ada", "s1"))
	h.refresh()
	first, b := h.fetch(h.Service, r.URI)
	if b.TTL != 10 || b.Expires-b.Issued != 600 || b.Issued != h.clock.now().Unix() || b.List.Aggregation != issuer+"/status-lists" {
		t.Errorf("claims %+v", b)
	}
	h.refresh()
	if again, _ := h.fetch(h.Service, r.URI); again != first {
		t.Error("made again although nothing changed")
	}
	h.end(revoke.Session, "s1")
	h.refresh()
	changed, _ := h.fetch(h.Service, r.URI)
	if changed.ETag == first.ETag {
		t.Error("a change has the tag of what was there before")
	}
	h.clock.forward(10 * time.Second)
	h.refresh()
	if later, b := h.fetch(h.Service, r.URI); later.ETag == changed.ETag || b.Issued != h.clock.now().Unix() {
		t.Errorf("not signed anew: %+v", b)
	}
}

// A list that cannot be renewed is not passed off as fresh: what is in it is as old
// as when it was read.
func TestListThatCannotBeRenewedExpires(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.assign(holder("ada", "s1"))
	h.refresh()
	_, before := h.fetch(h.Service, r.URI)
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	h.clock.forward(9 * time.Minute)
	if err := h.Refresh(t.Context()); err == nil {
		t.Fatal("refreshed from a closed store")
	}
	if _, b := h.fetch(h.Service, r.URI); b.Issued != before.Issued {
		t.Error("signed anew without having read the log")
	}
	h.clock.forward(time.Minute)
	_, _, err := h.Published(t.Context(), strings.TrimPrefix(r.URI, issuer+"/status-lists/"))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("an expired list: %v", err)
	}
}

func TestNodesPublishTheSame(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := h.node()
	r := h.assign(holder("ada", "s1"))
	_, mine := h.fetch(h.Service, r.URI)
	_, theirs := h.fetch(other, r.URI) // opened by the first one, asked for at once at the other
	if mine != theirs {
		t.Error("two nodes say different things")
	}
	h.end(revoke.Session, "s1")
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.refresh() // what the other has marked is here too
	h.want("marked by another node", r, 1)
}

func TestManyRefreshesAtOnceAreOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := h.assign(holder("ada", "s1"))
	h.end(revoke.Session, "s1")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := h.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
			// Whoever asked after the end sees it.
			if d, found, err := h.Published(t.Context(), strings.TrimPrefix(r.URI, issuer+"/status-lists/")); err != nil || !found || d == nil {
				t.Errorf("found=%v, %v", found, err)
			}
		})
	}
	all.Wait()
	h.want("ended", r, 1)
}
