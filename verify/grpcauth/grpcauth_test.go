package grpcauth_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/grpcauth"
	"github.com/wafer-auth/wafer/verify/httpauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	revoked := g.token()
	g.issuer.Revoke(revoked)
	good := g.token()
	for _, c := range []struct {
		name    string
		lines   []string
		code    codes.Code
		message string
		reason  string
	}{
		{"no credential", nil, codes.Unauthenticated, "credential_required", "credential_missing"},
		{"another scheme", []string{"Basic YTpi"}, codes.Unauthenticated, "credential_required", "credential_missing"},
		{"a proof of a key that nobody checks", []string{"DPoP " + good}, codes.Unauthenticated, "invalid_token", "binding_unsupported"},
		{"no scheme", []string{good}, codes.Unauthenticated, "credential_required", "credential_missing"},
		{"nothing after the scheme", []string{"Bearer "}, codes.Unauthenticated, "invalid_request", "credential_ambiguous"},
		{"two lines", []string{"Bearer " + good, "Bearer " + good}, codes.Unauthenticated, "invalid_request", "credential_ambiguous"},
		{"two lines, one of them of another scheme", []string{"Basic YTpi", "Bearer " + good}, codes.Unauthenticated, "invalid_request", "credential_ambiguous"},
		{"two lines that a proxy joined", []string{"Bearer " + good + ", Bearer " + good}, codes.Unauthenticated, "invalid_request", "credential_ambiguous"},
		{"two tokens", []string{"Bearer " + good + " " + good}, codes.Unauthenticated, "invalid_request", "credential_ambiguous"},
		{"another's signature", []string{"Bearer " + good[:strings.LastIndex(good, ".")] + revoked[strings.LastIndex(revoked, "."):]}, codes.Unauthenticated, "invalid_token", "signature_invalid"},
		{"expired", []string{"Bearer " + g.token(verifytest.ExpiresIn(-1e11))}, codes.Unauthenticated, "invalid_token", "token_expired"},
		{"another API's", []string{"Bearer " + g.token(verifytest.Audience("https://other.test"))}, codes.Unauthenticated, "invalid_token", "aud_mismatch"},
		{"an ID token", []string{"Bearer " + g.token(verifytest.Type("JWT"))}, codes.Unauthenticated, "invalid_token", "typ_mismatch"},
		{"revoked", []string{"Bearer " + revoked}, codes.Unauthenticated, "invalid_token", "token_revoked"},
		{"without the scope", []string{"Bearer " + g.token(verifytest.Scope("orders:write"))}, codes.PermissionDenied, "insufficient_scope", "scope_insufficient"},
	} {
		if c.name == "revoked" { // the feed has it when the server that it asks has
			<-g.followed(revoked)
		}
		g.refuses(c.name, func() error { return g.call(g.with(c.lines...)) }, c.code, c.message, c.reason)
	}
	if _, signature, _ := strings.Cut(good[20:], "."); strings.Contains(g.log.String(), signature) || strings.Contains(g.log.String(), revoked) {
		t.Error("a token stands in the log")
	}
}

// followed gives what is closed as soon as a revocation of a token is known here.
func (g *rig) followed(token string) <-chan struct{} {
	id, err := g.issuer.Verifier().Under(verify.Open).Token(g.Context(), token)
	g.must(err)
	ctx, stop := g.v.Follow(g.Context(), id)
	g.Cleanup(stop)
	return ctx.Done()
}

// A method that nobody thought of, and what comes along with a server, is not open.
func TestMethodWithoutRuleIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	good := g.token()
	for _, c := range []struct {
		name string
		call func(context.Context) error
	}{
		{"unary", func(ctx context.Context) error {
			_, err := g.client.CacheableUnaryCall(ctx, &pb.SimpleRequest{})
			return err
		}},
		{"client stream", func(ctx context.Context) error {
			s, err := g.client.StreamingInputCall(ctx)
			g.must(err)
			_, err = s.CloseAndRecv()
			return err
		}},
		{"health", func(ctx context.Context) error {
			_, err := healthpb.NewHealthClient(g.conn).Check(ctx, &healthpb.HealthCheckRequest{})
			return err
		}},
		{"health stream", func(ctx context.Context) error {
			s, err := healthpb.NewHealthClient(g.conn).Watch(ctx, &healthpb.HealthCheckRequest{})
			g.must(err)
			_, err = s.Recv()
			return err
		}},
		{"reflection", func(ctx context.Context) error {
			s, err := reflectpb.NewServerReflectionClient(g.conn).ServerReflectionInfo(ctx)
			g.must(err)
			_, err = s.Recv()
			return err
		}},
	} {
		for _, ctx := range []context.Context{g.with(), g.bearer(good)} {
			g.refuses(c.name, func() error { return c.call(ctx) }, codes.PermissionDenied, "undeclared_method", "undeclared_method")
		}
	}
	if !strings.Contains(g.log.String(), "level=ERROR") {
		t.Error("a missing rule is not told as an error")
	}
}

// CVE-2026-33186: what is not the canonical path of a method finds no rule, and none of another
// method. The server of the rig takes every path, so nothing but the rules refuses.
func TestPathThatOnlyLooksLikeAMethodIsRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	public := pb.TestService_EmptyCall_FullMethodName
	for _, path := range []string{
		public + "/", "/" + public, public + "?", public + "%20", "/./" + public[1:], "/x/.." + public,
		strings.ToLower(public), public + "/UnaryCall", "/UnaryCall" + public,
	} {
		g.refuses(path, func() error { return g.conn.Invoke(g.with(), path, &pb.Empty{}, &pb.Empty{}) },
			codes.PermissionDenied, "undeclared_method", "undeclared_method")
	}
	// gRPC itself refuses what has no leading slash; a server that did not would find it refused here.
	handler := func(context.Context, any) (any, error) {
		t.Error("the method ran")
		return nil, nil
	}
	for _, path := range []string{public[1:], ""} {
		_, err := g.auth.Unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: path}, handler)
		g.wants("without a slash: "+path, err, codes.PermissionDenied, "undeclared_method")
	}
	g.accepts()
}

func TestPublicMethodKnowsNobody(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(_ *rig, o *grpcauth.Options) {
		o.Methods[healthpb.Health_Check_FullMethodName] = grpcauth.Public()
		o.Methods[healthpb.Health_Watch_FullMethodName] = grpcauth.Public()
	})
	for _, ctx := range []context.Context{g.with(), g.bearer("nonsense"), g.bearer(g.token())} {
		if _, err := g.client.EmptyCall(ctx, &pb.Empty{}); err != nil {
			t.Error(err)
		}
		if _, err := healthpb.NewHealthClient(g.conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
		s, err := healthpb.NewHealthClient(g.conn).Watch(ctx, &healthpb.HealthCheckRequest{})
		g.must(err)
		if _, err := s.Recv(); err != nil {
			t.Error(err)
		}
	}
}

func TestTokenThatCountsOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(_ *rig, o *grpcauth.Options) {
		o.Methods[pb.TestService_CacheableUnaryCall_FullMethodName] = grpcauth.RequireOnce("orders:read")
	})
	token, weak := g.token(), g.token(verifytest.Scope("orders:write"))
	pay := func(token string) error {
		_, err := g.client.CacheableUnaryCall(g.bearer(token), &pb.SimpleRequest{})
		return err
	}
	// The method is not implemented: who gets so far has been admitted.
	if got := status.Code(pay(token)); got != codes.Unimplemented {
		t.Errorf("the first time: got %v", got)
	}
	g.refuses("the second time", func() error { return pay(token) }, codes.Unauthenticated, "invalid_token", "token_revoked")
	for range 2 { // refused for its scope, so it is not used up, and asked about no more
		g.refuses("too weak", func() error { return pay(weak) }, codes.PermissionDenied, "insufficient_scope", "scope_insufficient")
	}
}

func TestEachRuleHasItsVerifier(t *testing.T) {
	t.Parallel()
	const other = "https://payments.test"
	g := newRig(t, func(g *rig, o *grpcauth.Options) {
		c := g.issuer.Config()
		c.Audience, c.Stale = other, verify.Open
		v, err := verify.New(c)
		g.must(err)
		o.Methods[pb.TestService_CacheableUnaryCall_FullMethodName] = grpcauth.Require("orders:read").By(v)
	})
	pay := func(token string) error {
		_, err := g.client.CacheableUnaryCall(g.bearer(token), &pb.SimpleRequest{})
		return err
	}
	if got := status.Code(pay(g.token(verifytest.Audience(other)))); got != codes.Unimplemented {
		t.Errorf("for the audience of the rule: got %v", got)
	}
	g.refuses("for the other one", func() error { return pay(g.token()) }, codes.Unauthenticated, "invalid_token", "aud_mismatch")
}

// A credential that is bound to a network and a device is not good elsewhere.
func TestCredentialUsedElsewhere(t *testing.T) {
	t.Parallel()
	const agent, language = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "de-DE"
	at := netip.MustParseAddr("192.0.2.7")
	home := bound.Seen{Address: netip.MustParseAddr("127.0.0.1")}
	for _, c := range []struct {
		name    string
		policy  bound.Policy
		seen    bound.Seen
		options grpcauth.Options
		message string // "" for admitted
		reason  string
	}{
		{name: "at home", policy: bound.Policy{Network: bound.Refuse}, seen: home},
		{name: "another network", policy: bound.Policy{Network: bound.Refuse}, seen: bound.Seen{Address: at}, message: "invalid_token", reason: "used_elsewhere"},
		{name: "step up", policy: bound.Policy{Network: bound.StepUp}, seen: bound.Seen{Address: at},
			message: "insufficient_user_authentication", reason: "step_up_required"},
		{name: "told of", policy: bound.Policy{Network: bound.Report}, seen: bound.Seen{Address: at}},
		{name: "ignored", policy: bound.Policy{Network: bound.Refuse}, seen: bound.Seen{Address: at}, options: grpcauth.Options{Elsewhere: httpauth.IgnoreElsewhere}},
		{name: "as the gateway says", policy: bound.Policy{Network: bound.Refuse}, seen: bound.Seen{Address: at},
			options: grpcauth.Options{Address: func(context.Context) netip.Addr { return at }}},
		{name: "another device", policy: bound.Policy{Device: bound.Refuse}, seen: bound.Seen{Address: at, Agent: agent, Language: language},
			message: "invalid_token", reason: "used_elsewhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(_ *rig, o *grpcauth.Options) { o.Address, o.Elsewhere = c.options.Address, c.options.Elsewhere })
			token := g.token(verifytest.Set("sid", "ses_1"), verifytest.Set("bnd", c.policy.Of("ses_1", c.seen).String()))
			call := func() error { return g.call(g.bearer(token)) }
			if c.message == "" {
				g.must(call())
				return
			}
			g.refuses(c.name, call, codes.Unauthenticated, c.message, c.reason)
		})
	}
}

// The metadata of a caller reaches no method as an identity.
func TestIdentityComesFromTheCredentialAlone(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	ctx := metadata.AppendToOutgoingContext(g.with(), "grpcgateway-authorization", "Bearer "+g.token(), "cookie", verify.CookieName+"="+g.issuer.Session())
	g.refuses("other names", func() error { return g.call(ctx) }, codes.Unauthenticated, "credential_required", "credential_missing")
	if _, ok := grpcauth.From(t.Context()); ok {
		t.Error("somebody is calling where nobody is")
	}
}

func TestCoversTellsWhatDoesNotMatch(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(_ *rig, o *grpcauth.Options) { o.Methods["/grpc.testing.TestService/Unary"] = grpcauth.Require() })
	err := g.auth.Covers(g.server.GetServiceInfo())
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		"/grpc.testing.TestService/Unary has a rule and is not served", pb.TestService_CacheableUnaryCall_FullMethodName + " has no rule",
		healthpb.Health_Check_FullMethodName + " has no rule",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if strings.Contains(err.Error(), pb.TestService_EmptyCall_FullMethodName) {
		t.Errorf("got %v", err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, healthpb.UnimplementedHealthServer{})
	all := map[string]grpcauth.Rule{}
	for _, m := range s.GetServiceInfo()["grpc.health.v1.Health"].Methods {
		all["/grpc.health.v1.Health/"+m.Name] = grpcauth.Public()
	}
	if err := grpcauth.New(g.v, grpcauth.Options{Methods: all}).Covers(s.GetServiceInfo()); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeMeantStopsTheStart(t *testing.T) {
	t.Parallel()
	v := verifytest.NewIssuer(t).Verifier()
	panics := func(what string, start func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s is accepted", what)
			}
		}()
		start()
	}
	one := func(name string, r grpcauth.Rule) func() {
		return func() { grpcauth.New(v, grpcauth.Options{Methods: map[string]grpcauth.Rule{name: r}}) }
	}
	one("/p.S/M", grpcauth.Require())()
	panics("no verifier", func() { grpcauth.New(nil, grpcauth.Options{}) })
	panics("a rule that says nothing", one("/p.S/M", grpcauth.Rule{}))
	for _, name := range []string{"", "/", "p.S/M", "/p.S", "/p.S/", "//M", "/p.S/M/", "/p.S/*/M"} {
		panics("the name "+name, one(name, grpcauth.Require()))
	}
	panics("a scope of two", func() { grpcauth.Require("a b") })
	panics("By without a verifier", func() { grpcauth.Require().By(nil) })
	panics("By of what is public", func() { grpcauth.Public().By(v) })
}
