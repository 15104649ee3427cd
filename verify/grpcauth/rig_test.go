package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/grpcauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

const wait = 10 * time.Second

// service is what the interceptors guard: it echoes who is calling.
type service struct {
	pb.UnimplementedTestServiceServer
	mu  sync.Mutex
	ran int
	// done hears of the error that a method got when its stream ended.
	done chan error
}

func (s *service) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran++
}

func (s *service) runs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ran
}

func (s *service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.count()
	return &pb.SimpleResponse{Username: who(ctx)}, nil
}

func (s *service) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	s.count()
	if who(ctx) != "nobody" {
		return nil, errors.New("somebody calls what is public")
	}
	return &pb.Empty{}, nil
}

func who(ctx context.Context) string {
	if id, ok := grpcauth.From(ctx); ok {
		return id.Subject
	}
	return "nobody"
}

// FullDuplexCall answers each message, and waits for the next one.
func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) (err error) {
	s.count()
	defer func() { s.done <- err }()
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte(who(stream.Context()))}}); err != nil {
			return err
		}
	}
}

// HalfDuplexCall sends until nobody takes any more.
func (s *service) HalfDuplexCall(stream pb.TestService_HalfDuplexCallServer) (err error) {
	s.count()
	defer func() { s.done <- err }()
	big := make([]byte, 64<<10)
	for {
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: big}}); err != nil {
			return err
		}
	}
}

// StreamingOutputCall waits for the end of its context, and finds nothing wrong with it.
func (s *service) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, stream pb.TestService_StreamingOutputCallServer) error {
	s.count()
	if err := stream.Send(&pb.StreamingOutputCallResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	s.done <- context.Cause(stream.Context())
	return nil
}

// locked is a log that several goroutines write.
type locked struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a gRPC server on loopback behind the interceptors.
type rig struct {
	*testing.T
	issuer  *verifytest.Issuer
	v       *verify.Verifier
	service *service
	server  *grpc.Server
	auth    *grpcauth.Auth
	log     *locked
	conn    *grpc.ClientConn
	client  pb.TestServiceClient
}

// rules are those of the rig: some methods have none.
func rules() map[string]grpcauth.Rule {
	return map[string]grpcauth.Rule{
		pb.TestService_EmptyCall_FullMethodName:           grpcauth.Public(),
		pb.TestService_UnaryCall_FullMethodName:           grpcauth.Require("orders:read"),
		pb.TestService_FullDuplexCall_FullMethodName:      grpcauth.Require("orders:read"),
		pb.TestService_HalfDuplexCall_FullMethodName:      grpcauth.Require("orders:read"),
		pb.TestService_StreamingOutputCall_FullMethodName: grpcauth.Require("orders:read"),
	}
}

// newRig makes a rig that follows the issuer's feed under Strict.
func newRig(t *testing.T, change func(*rig, *grpcauth.Options)) *rig {
	t.Helper()
	g := &rig{T: t, issuer: verifytest.NewIssuer(t), service: &service{done: make(chan error, 8)}, log: &locked{}}
	c := g.issuer.Config()
	c.Feed, c.Stale = g.issuer.Feed(), verify.Strict
	var err error
	g.v, err = verify.New(c)
	g.must(err)
	o := grpcauth.Options{Methods: rules(), Logger: slog.New(slog.NewTextHandler(g.log, nil))}
	if change != nil {
		change(g, &o)
	}
	g.auth = grpcauth.New(g.v, o)
	g.server = grpc.NewServer(grpc.UnaryInterceptor(g.auth.Unary), grpc.StreamInterceptor(g.auth.Stream),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			g.service.count()
			return nil
		}))
	pb.RegisterTestServiceServer(g.server, g.service)
	healthpb.RegisterHealthServer(g.server, health.NewServer())
	reflection.Register(g.server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	stopped := make(chan error, 1)
	go func() { stopped <- g.server.Serve(l) }()
	g.conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	g.must(err)
	t.Cleanup(func() {
		_ = g.conn.Close()
		g.server.Stop()
		if err := <-stopped; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	g.client = pb.NewTestServiceClient(g.conn)
	return g
}

func (g *rig) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *rig) token(claims ...verifytest.Claim) string {
	return g.issuer.Token(append([]verifytest.Claim{verifytest.Scope("orders:read"), verifytest.Subject("ada")}, claims...)...)
}

// with is the context of a call with these authorization lines.
func (g *rig) with(lines ...string) context.Context {
	ctx, stop := context.WithTimeout(g.Context(), wait)
	g.Cleanup(stop)
	for _, l := range lines {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", l)
	}
	return ctx
}

func (g *rig) bearer(token string) context.Context { return g.with("Bearer " + token) }

func (g *rig) call(ctx context.Context) error {
	_, err := g.client.UnaryCall(ctx, &pb.SimpleRequest{})
	return err
}

// accepts is the matching success: the method ran once, for the right user.
func (g *rig) accepts() {
	g.Helper()
	before := g.service.runs()
	a, err := g.client.UnaryCall(g.bearer(g.token()), &pb.SimpleRequest{})
	if err != nil || a.GetUsername() != "ada" || g.service.runs() != before+1 {
		g.Fatalf("good token: got %q, %v, %d runs; log: %s", a.GetUsername(), err, g.service.runs()-before, g.log)
	}
}

// wants compares the whole status.
func (g *rig) wants(what string, err error, code codes.Code, message string) {
	g.Helper()
	s := status.Convert(err)
	if s.Code() != code || s.Message() != message {
		g.Errorf("%s: got %v %q, want %v %q; log: %s", what, s.Code(), s.Message(), code, message, g.log)
	}
	reason, retry := "", false
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration() > 0
		}
	}
	if reason != strings.ToUpper(message) || retry != (code == codes.Unavailable) {
		g.Errorf("%s: got reason %q, retry %v", what, reason, retry)
	}
}

// refuses wants a call refused between two successes, for this reason in the log.
func (g *rig) refuses(what string, call func() error, code codes.Code, message, reason string) {
	g.Helper()
	g.accepts()
	before := g.service.runs()
	g.wants(what, call(), code, message)
	if g.service.runs() != before {
		g.Errorf("%s: the method ran", what)
	}
	lines := strings.Split(strings.TrimSpace(g.log.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "reason="+reason+" ") {
		g.Errorf("%s: got log line %q, want reason %s", what, last, reason)
	}
	g.accepts()
}

// ends waits for what a method gets when its stream ends.
func (g *rig) ends() error {
	g.Helper()
	select {
	case err := <-g.service.done:
		return err
	case <-time.After(wait):
		g.Fatal("the method did not return")
		return io.EOF
	}
}
