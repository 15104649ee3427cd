package grant_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/store"
	"github.com/wafer-auth/wafer/internal/store/memory"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/jose"
)

const tokenURL = issuer + "/oauth/token"

func (h *house) proof(key *jose.Key, nonce string) grant.Presented {
	h.t.Helper()
	text, err := dpop.Sign(key, dpop.Request{Method: "POST", URL: tokenURL, Nonce: nonce, Now: h.clock.now()})
	must(h.t, err)
	return grant.Presented{Proof: text, Method: "POST", URL: tokenURL}
}

func newKey(t *testing.T) *jose.Key {
	t.Helper()
	k, err := jose.Generate(jose.ES256, "")
	must(t, err)
	return k
}

// DPOP-004: of many requests with one proof, at two nodes, one is let through.
func TestProofIsUsedOnce(t *testing.T) {
	t.Parallel()
	sqlite, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "wafer.db")})
	must(t, err)
	t.Cleanup(func() { _ = sqlite.Close() })
	for name, in := range map[string]store.Store{"memory": memory.New(), "sqlite": sqlite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := houseOn(t, in)
			other := grant.New(h.Config) // another node, or this one after a restart
			key := newKey(t)
			p := h.proof(key, "")
			var passed atomic.Int32
			var all sync.WaitGroup
			for i := range 50 {
				node := []*grant.Service{h.Service, other}[i%2]
				all.Go(func() {
					c, err := node.CheckProof(p)
					if err != nil {
						t.Errorf("a good proof: %v", err)
						return
					}
					if jkt, err := node.UseProof(context.WithoutCancel(t.Context()), c); err == nil && jkt == key.Thumbprint() {
						passed.Add(1)
					}
				})
			}
			all.Wait()
			if passed.Load() != 1 {
				t.Fatalf("one proof passed %d times of 50", passed.Load())
			}
			c, err := h.CheckProof(h.proof(key, ""))
			must(t, err)
			if jkt, err := h.UseProof(t.Context(), c); err != nil || jkt != key.Thumbprint() {
				t.Errorf("the next proof: %s, %v", jkt, err)
			}
			if jkt, err := h.UseProof(t.Context(), grant.Checked{}); err != nil || jkt != "" {
				t.Errorf("no proof: %s, %v", jkt, err)
			}
		})
	}
}

func TestNoncesAreOneForAllNodesAndEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key, nonce := newKey(t), h.ProofNonce()
	if got := grant.New(h.Config).ProofNonce(); got != nonce || len(nonce) < 20 {
		t.Fatalf("nonces %q and %q", got, nonce)
	}
	for _, minutes := range []int{0, 4, 9, 11} {
		h.clock.forward(time.Duration(minutes)*time.Minute - h.clock.now().Sub(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)))
		_, err := h.CheckProof(h.proof(key, nonce))
		var refused *grant.Error
		if bad := errors.As(err, &refused) && refused.Code == oidc.UseDPoPNonce; bad != (minutes > 10) {
			t.Errorf("after %d minutes: %v", minutes, err)
		}
	}
	if h.ProofNonce() == nonce {
		t.Error("the nonce never changes")
	}
	if _, err := h.CheckProof(h.proof(key, strings.Repeat("A", len(nonce)))); err == nil {
		t.Error("a nonce that was made up is taken")
	}
}

func TestWhatTokensAreBoundTo(t *testing.T) {
	t.Parallel()
	cert := &grant.Certificate{Leaf: leafOf(t, "billing")}
	x5t := cert.Thumbprint()
	fapi := client.OAuth{Profile: client.FAPI2}
	for name, tt := range map[string]struct {
		o    client.OAuth
		jkt  string
		cert *grant.Certificate
		want grant.Proof
	}{
		"nothing":                   {},
		"a proof":                   {jkt: "k", want: grant.Proof{JKT: "k"}},
		"a certificate of a mesh":   {cert: cert},
		"a certificate":             {o: client.OAuth{TLSBound: true}, cert: cert, want: grant.Proof{X5T: x5t}},
		"registered, without one":   {o: client.OAuth{TLSBound: true}},
		"both":                      {o: client.OAuth{TLSBound: true}, jkt: "k", cert: cert, want: grant.Proof{JKT: "k", X5T: x5t}},
		"fapi, by certificate":      {o: fapi, cert: cert, want: grant.Proof{X5T: x5t}},
		"fapi, by proof":            {o: fapi, jkt: "k", cert: cert, want: grant.Proof{JKT: "k"}},
		"a proof and a certificate": {jkt: "k", cert: cert, want: grant.Proof{JKT: "k"}},
	} {
		if got := grant.Binding(client.Client{OAuth: tt.o}, tt.jkt, tt.cert); got != tt.want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
