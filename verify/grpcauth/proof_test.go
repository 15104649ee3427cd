package grpcauth_test

import (
	"context"
	"crypto/x509"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/grpcauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const (
	here  = "https://orders.example"
	unary = pb.TestService_UnaryCall_FullMethodName
)

// boundRig is a rig that takes bound tokens, and a client with a key.
type boundRig struct {
	*rig
	client *verifytest.Prover
}

func newBoundRig(t *testing.T, change func(*grpcauth.Options)) *boundRig {
	t.Helper()
	g := newRig(t, func(_ *rig, o *grpcauth.Options) {
		o.Base = here
		if change != nil {
			change(o)
		}
	})
	return &boundRig{rig: g, client: g.issuer.Prover()}
}

func (g *boundRig) bound(claims ...verifytest.Claim) string {
	return g.token(append(claims, verifytest.Bound(g.client.Key()))...)
}

func (g *boundRig) proof(token string, change ...func(*dpop.Request)) string {
	return g.client.Proof("POST", here+unary, token, change...)
}

func (g *boundRig) show(token string, proofs ...string) context.Context {
	ctx := g.with("DPoP " + token)
	for _, p := range proofs {
		ctx = metadata.AppendToOutgoingContext(ctx, "dpop", p)
	}
	return ctx
}

func (g *boundRig) good(token string) {
	g.Helper()
	if err := g.call(g.show(token, g.proof(token))); err != nil {
		g.Fatalf("a right proof: %v; log: %s", err, g.log)
	}
}

// DPOP-001, DPOP-006, DPOP-008, over gRPC.
func TestBoundTokenNeedsTheProofOfItsCall(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, nil)
	token, plain, other := g.bound(), g.token(), g.issuer.Prover()
	used := g.proof(token)
	g.must(g.call(g.show(token, used)))
	for _, c := range []struct {
		name    string
		ctx     context.Context
		message string
		reason  string
	}{
		{"no proof", g.show(token), "invalid_dpop_proof", "proof_invalid"},
		{"two proofs", g.show(token, g.proof(token), g.proof(token)), "invalid_dpop_proof", "proof_invalid"},
		{"DPOP-001 another key", g.show(token, other.Proof("POST", here+unary, token)), "invalid_dpop_proof", "proof_invalid"},
		{"DPOP-004 used", g.show(token, used), "invalid_dpop_proof", "proof_replayed"},
		{"another token", g.show(token, g.proof(plain)), "invalid_dpop_proof", "proof_invalid"},
		{"another verb", g.show(token, g.client.Proof("GET", here+unary, token)), "invalid_dpop_proof", "proof_invalid"},
		{"another method", g.show(token, g.client.Proof("POST", here+pb.TestService_EmptyCall_FullMethodName, token)), "invalid_dpop_proof", "proof_invalid"},
		{"DPOP-006 another host", g.show(token, g.client.Proof("POST", "https://evil.test"+unary, token)), "invalid_dpop_proof", "proof_invalid"},
		{"DPOP-006 a way around", g.show(token, g.client.Proof("POST", here+"/x/.."+unary, token)), "invalid_dpop_proof", "proof_invalid"},
		{"old", g.show(token, g.proof(token, func(r *dpop.Request) { r.Now = r.Now.Add(-time.Hour) })), "invalid_dpop_proof", "proof_invalid"},
		{"DPOP-008 as a bearer token", g.bearer(token), "invalid_token", "binding_unsupported"},
		{"DPOP-008 as a bearer token with a proof", metadata.AppendToOutgoingContext(g.bearer(token), "dpop", g.proof(token)), "invalid_token", "binding_unsupported"},
		{"a bearer token as a bound one", g.show(plain, g.proof(plain)), "invalid_token", "binding_unsupported"},
	} {
		g.refuses(c.name, func() error { return g.call(c.ctx) }, codes.Unauthenticated, c.message, c.reason)
		g.good(token)
	}
}

// A service that does not know its address cannot tell what a proof is for.
func TestProofNeedsAServiceThatKnowsItsAddress(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, func(o *grpcauth.Options) { o.Base = "" })
	token := g.bound()
	g.refuses("without a base", func() error { return g.call(g.show(token, g.proof(token))) }, codes.Unauthenticated, "invalid_token", "binding_unsupported")
}

// DPOP-004.
func TestProofBeginsOneCall(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, nil)
	token := g.bound()
	proof := g.proof(token)
	before := g.service.runs()
	var taken atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		ctx := g.show(token, proof)
		all.Go(func() {
			if g.call(ctx) == nil {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 || g.service.runs() != before+1 {
		t.Errorf("one proof began %d calls, and the method ran %d times", taken.Load(), g.service.runs()-before)
	}
	g.good(token)
}

func TestStreamNeedsAProofAtItsBeginning(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, nil)
	token := g.bound()
	open := func(proofs ...string) error {
		s, err := g.rig.client.FullDuplexCall(g.show(token, proofs...))
		g.must(err)
		if err := s.Send(&pb.StreamingOutputCallRequest{}); err != nil {
			return err
		}
		_, err = s.Recv()
		return err
	}
	proof := g.client.Proof("POST", here+pb.TestService_FullDuplexCall_FullMethodName, token)
	g.must(open(proof))
	g.wants("the same proof", open(proof), codes.Unauthenticated, "invalid_dpop_proof")
	g.wants("no proof", open(), codes.Unauthenticated, "invalid_dpop_proof")
	g.must(open(g.client.Proof("POST", here+pb.TestService_FullDuplexCall_FullMethodName, token)))
}

func TestNonceIsInTheDetails(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, func(o *grpcauth.Options) { o.ProofNonces = []byte(strings.Repeat("k", 32)) })
	token := g.bound()
	err := g.call(g.show(token, g.proof(token)))
	g.wants("without a nonce", err, codes.Unauthenticated, "use_dpop_nonce")
	nonce := ""
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			nonce = info.GetMetadata()["dpop_nonce"]
		}
	}
	with := func(n string) context.Context {
		return g.show(token, g.proof(token, func(r *dpop.Request) { r.Nonce = n }))
	}
	g.must(g.call(with(nonce)))
	g.wants("with one that is made up", g.call(with("made up")), codes.Unauthenticated, "use_dpop_nonce")
	g.must(g.call(with(nonce)))
}

// RFC 8705: a token that is bound to a certificate is worth nothing on a connection without it.
func TestTokenBoundToACertificate(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("other")}
	token := g.token(verifytest.BoundToCertificate(mine))
	ask := func(certificates ...*x509.Certificate) error {
		var t credentials.TLSInfo
		t.State.PeerCertificates = certificates
		ctx := peer.NewContext(g.Context(), &peer.Peer{Addr: nowhere{}, AuthInfo: t})
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+token, "client-cert", "mine"))
		_, err := g.auth.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: unary}, func(context.Context, any) (any, error) { return nil, nil })
		return err
	}
	g.must(ask(mine))
	g.wants("with another", ask(other), codes.Unauthenticated, "invalid_token")
	g.wants("with another first", ask(other, mine), codes.Unauthenticated, "invalid_token")
	g.wants("with none", ask(), codes.Unauthenticated, "invalid_token")
	g.must(ask(mine))
}

type nowhere struct{}

func (nowhere) Network() string { return "test" }
func (nowhere) String() string  { return "nowhere" }

// A bound token that counts once is not used up by somebody without its key.
func TestBoundTokenCountsOnceWhereItShould(t *testing.T) {
	t.Parallel()
	g := newBoundRig(t, func(o *grpcauth.Options) { o.Methods[unary] = grpcauth.RequireOnce("orders:read") })
	token, stranger := g.bound(), g.issuer.Prover()
	g.wants("another key", g.call(g.show(token, stranger.Proof("POST", here+unary, token))), codes.Unauthenticated, "invalid_dpop_proof")
	g.must(g.call(g.show(token, g.proof(token))))
	g.wants("again", g.call(g.show(token, g.proof(token))), codes.Unauthenticated, "invalid_token")
	again := g.bound()
	g.must(g.call(g.show(again, g.proof(again))))
}

func TestOptionsOfProofsThatCannotBeMeantPanic(t *testing.T) {
	t.Parallel()
	v := verifytest.NewIssuer(t).Verifier()
	try := func(o grpcauth.Options) (refused any) {
		defer func() { refused = recover() }()
		grpcauth.New(v, o)
		return nil
	}
	if got := try(grpcauth.Options{Base: here, ProofNonces: make([]byte, 32)}); got != nil {
		t.Errorf("good options: %v", got)
	}
	for name, o := range map[string]grpcauth.Options{
		"a host": {Base: "orders.example"}, "plain HTTP": {Base: "http://orders.example"}, "a query": {Base: here + "?a=b"}, "a short key": {Base: here, ProofNonces: make([]byte, 31)},
	} {
		if try(o) == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
}
