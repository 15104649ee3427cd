package grpcauth

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/httpauth"
)

// Options says what methods need, and changes what is done by default.
type Options struct {
	// Methods has a rule for each method, by its full name as generated code has it:
	// "/package.Service/Method". Whatever is not in it is refused.
	Methods map[string]Rule
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
	rules     map[string]Rule
	address   func(context.Context) netip.Addr
	elsewhere httpauth.Elsewhere
	log       *slog.Logger
}

// New makes an Auth. It panics when v is nil and on options that cannot be meant: a service that
// cannot check must not start.
func New(v *verify.Verifier, o Options) *Auth {
	if v == nil {
		panic("grpcauth: nil Verifier")
	}
	a := &Auth{rules: checked(o.Methods, v), address: o.Address, elsewhere: o.Elsewhere, log: o.Logger}
	if a.address == nil {
		a.address = peerAddress
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
	token, err := bearer(ctx)
	if err != nil {
		return nil, nil, err
	}
	id, err := rule.verifier.Token(ctx, token)
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
		if _, err := rule.verifier.TokenOnce(ctx, token); err != nil {
			return nil, nil, err
		}
	}
	return id, rule.verifier, nil
}

// bearer finds the one token (RFC 6750 section 2.1). Other schemes are not ours and count as no
// token, except DPoP: who proves a key must not be let in without that proof.
func bearer(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	switch len(values) {
	case 0:
		return "", verify.ErrNoCredential
	case 1:
	default:
		return "", verify.ErrAmbiguous
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, "DPoP"):
		return "", verify.ErrBinding
	case !strings.EqualFold(scheme, "Bearer"):
		return "", verify.ErrNoCredential
	}
	token := strings.TrimLeft(rest, " ")
	// A proxy may have made one line of two (RFC 9110 section 5.3); no token holds these.
	if token == "" || strings.ContainsAny(token, ", \t") {
		return "", verify.ErrAmbiguous
	}
	return token, nil
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
