package grpcauth

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/dpop"
	"github.com/wafer-auth/wafer/verify/httpauth"
)

// Options says what methods need, and changes what is done by default.
type Options struct {
	// Methods has a rule for each method, by its full name as generated code has it:
	// "/package.Service/Method". Whatever is not in it is refused.
	Methods map[string]Rule
	// Base is the URL at which callers reach the server, https://orders.example:443. Tokens that are
	// bound to a key by DPoP are taken only with it: a proof is for POST and Base + the full name of
	// the method.
	Base string
	// Certificate gives the certificate by which the caller proved itself (RFC 8705), nil for none. The
	// default is that of the connection.
	Certificate func(context.Context) *x509.Certificate
	// Replays remembers proofs. The default is one in memory: a proof counts once in this process,
	// and one from before it started does not count (dpop.Seen).
	Replays dpop.Replays
	// ProofNonces, at least 32 random bytes that all nodes share, has proofs carry a nonce of the
	// service. The default asks for none.
	ProofNonces []byte
	// Now is the clock that proofs are compared with: time.Now.
	Now func() time.Time
	// Address tells where the person's machine is, for credentials that are bound to a network.
	// The default is the address of the connection.
	Address func(context.Context) netip.Addr
	// Elsewhere says what becomes of a credential that is used from elsewhere than it is bound to.
	Elsewhere httpauth.Elsewhere
	// Logger hears of each refusal: slog.Default() at the time.
	Logger *slog.Logger
}

// Auth has the interceptors of a verifier. It is safe for concurrent use.
type Auth struct {
	rules       map[string]Rule
	possession  *verify.Possession
	certificate func(context.Context) *x509.Certificate
	address     func(context.Context) netip.Addr
	elsewhere   httpauth.Elsewhere
	log         *slog.Logger
}

// New makes an Auth. It panics when v is nil and on options that cannot be meant: a service that
// cannot check must not start.
func New(v *verify.Verifier, o Options) *Auth {
	if v == nil {
		panic("grpcauth: nil Verifier")
	}
	p, err := verify.NewPossession(verify.PossessionConfig{Base: o.Base, Replays: o.Replays, Nonces: o.ProofNonces, Now: o.Now})
	if err != nil {
		panic("grpcauth: " + err.Error())
	}
	a := &Auth{
		rules: checked(o.Methods, v), possession: p, certificate: o.Certificate,
		address: o.Address, elsewhere: o.Elsewhere, log: o.Logger,
	}
	if a.address == nil {
		a.address = peerAddress
	}
	if a.certificate == nil {
		a.certificate = peerCertificate
	}
	return a
}

func (a *Auth) logger() *slog.Logger {
	if a.log == nil {
		return slog.Default()
	}
	return a.log
}

// Unary is a grpc.UnaryServerInterceptor: a method runs only for a caller whom its rule admits, and
// finds who it is with From.
func (a *Auth) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	id, _, err := a.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, a.refuse(ctx, info.FullMethod, err)
	}
	if id != nil {
		ctx = context.WithValue(ctx, identityKey{}, id)
	}
	return handler(ctx, request)
}

type identityKey struct{}

// From gives who is calling, in a method behind Unary or Stream; false in one that is public, and
// anywhere else.
func From(ctx context.Context) (*verify.Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*verify.Identity)
	return id, ok
}

// admit decides about a call. Both results are nil for a public method.
func (a *Auth) admit(ctx context.Context, method string) (*verify.Identity, *verify.Verifier, error) {
	rule, ok := a.rules[method]
	if !ok {
		return nil, nil, errUndeclared
	}
	if rule.admits == anybody {
		return nil, nil, nil
	}
	shown, err := a.shown(ctx, method)
	if err != nil {
		return nil, nil, err
	}
	id, err := rule.verifier.Bound(ctx, shown.Token, a.possession.Prove(ctx, shown))
	if errors.Is(err, verify.ErrProofNonce) {
		err = nonceWanted{a.possession.Nonce()}
	}
	if err != nil {
		return nil, nil, err
	}
	for _, s := range rule.scopes {
		if !id.HasScope(s) {
			return nil, nil, scopeError(rule.scopes)
		}
	}
	if err := a.checkElsewhere(ctx, method, id); err != nil {
		return nil, nil, err
	}
	if rule.admits == holdersOnce {
		// What it is bound to was proved a moment ago, and the proof counts once.
		proved := func(verify.Confirmation) error { return nil }
		if _, err := rule.verifier.BoundOnce(ctx, shown.Token, proved); err != nil {
			return nil, nil, err
		}
	}
	return id, rule.verifier, nil
}

// shown finds the one token (RFC 6750 section 2.1, RFC 9449 section 7.1) and what came along to
// prove what it is bound to. Other schemes are not ours and count as no token.
func (a *Auth) shown(ctx context.Context, method string) (verify.Shown, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	switch len(values) {
	case 0:
		return verify.Shown{}, verify.ErrNoCredential
	case 1:
	default:
		return verify.Shown{}, verify.ErrAmbiguous
	}
	s := verify.Shown{Method: "POST", Path: method} // gRPC over HTTP/2: every call is one
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, "DPoP"):
		s.Scheme = verify.SchemeDPoP
	case !strings.EqualFold(scheme, "Bearer"):
		return verify.Shown{}, verify.ErrNoCredential
	}
	s.Token = strings.TrimLeft(rest, " ")
	// A proxy may have made one line of two (RFC 9110 section 5.3); no token holds these.
	if s.Token == "" || strings.ContainsAny(s.Token, ", \t") {
		return verify.Shown{}, verify.ErrAmbiguous
	}
	s.Proofs, s.Certificate = metadata.ValueFromIncomingContext(ctx, "dpop"), a.certificate(ctx)
	return s, nil
}

// peerCertificate is that by which a caller proved itself to this very server.
func peerCertificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	if t, isTLS := p.AuthInfo.(credentials.TLSInfo); isTLS && len(t.State.PeerCertificates) > 0 {
		return t.State.PeerCertificates[0]
	}
	return nil
}

// checkElsewhere compares where a call comes from with what its credential is bound to.
func (a *Auth) checkElsewhere(ctx context.Context, method string, id *verify.Identity) error {
	if a.elsewhere == httpauth.IgnoreElsewhere || id.Binding.IsZero() {
		return nil
	}
	v := id.Binding.Check(id.SessionID, bound.Seen{
		Address: a.address(ctx), Agent: single(ctx, "user-agent"), Language: single(ctx, "accept-language"),
	})
	switch v.Mode {
	case bound.Off:
		return nil
	case bound.Report:
		a.logger().LogAttrs(ctx, slog.LevelWarn, "credential used elsewhere", slog.String("sid", id.SessionID),
			slog.Bool("network", v.Network), slog.Bool("device", v.Device), slog.String("method", method))
		return nil
	case bound.StepUp:
		return verify.ErrStepUp
	}
	return verify.ErrElsewhere
}

// single is the first value of a name, as net/http gives it.
func single(ctx context.Context, name string) string {
	if values := metadata.ValueFromIncomingContext(ctx, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// peerAddress is the address of the connection, invalid when it has none.
func peerAddress(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}
	if at, isTCP := p.Addr.(*net.TCPAddr); isTCP {
		return at.AddrPort().Addr().Unmap().WithZone("")
	}
	if at, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
