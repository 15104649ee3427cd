package grpcauth_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/grpcauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// exampleTB stands in for the *testing.T that a test has.
type exampleTB struct{ end []func() }

func (*exampleTB) Helper()                      {}
func (e *exampleTB) Cleanup(f func())           { e.end = append(e.end, f) }
func (*exampleTB) Fatalf(text string, a ...any) { log.Fatalf(text, a...) }
func (e *exampleTB) close() {
	for _, f := range e.end {
		f()
	}
}

type orders struct {
	pb.UnimplementedTestServiceServer
}

func (orders) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	id, _ := grpcauth.From(ctx)
	return &pb.SimpleResponse{Username: id.Subject}, nil
}

func Example() {
	t := &exampleTB{} // in a program, v is made as package verify tells
	defer t.close()
	issuer := verifytest.NewIssuer(t)
	v := issuer.Verifier()

	auth := grpcauth.New(v, grpcauth.Options{Methods: map[string]grpcauth.Rule{
		pb.TestService_UnaryCall_FullMethodName:          grpcauth.Require("orders:read"),
		pb.TestService_StreamingInputCall_FullMethodName: grpcauth.Require("orders:write").By(v.Under(verify.Strict)),
		pb.TestService_EmptyCall_FullMethodName:          grpcauth.Public(),
	}, Logger: slog.New(slog.DiscardHandler)})
	s := grpc.NewServer(grpc.UnaryInterceptor(auth.Unary), grpc.StreamInterceptor(auth.Stream))
	pb.RegisterTestServiceServer(s, orders{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	defer s.Stop()

	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := pb.NewTestServiceClient(conn)
	for _, token := range []string{issuer.Token(verifytest.Subject("ada"), verifytest.Scope("orders:read")), issuer.Token()} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
		a, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
		fmt.Printf("%q, %q\n", a.GetUsername(), status.Convert(err).Message())
	}
	_, err = client.CacheableUnaryCall(context.Background(), &pb.SimpleRequest{})
	fmt.Println(status.Convert(err).Message())
	// Output:
	// "ada", ""
	// "", "insufficient_scope"
	// undeclared_method
}

func ExampleAuth_Covers() {
	t := &exampleTB{}
	defer t.close()
	auth := grpcauth.New(verifytest.NewIssuer(t).Verifier(), grpcauth.Options{Methods: map[string]grpcauth.Rule{
		"/orders.v1.Orders/List": grpcauth.Require("orders:read"),
		"/orders.v1.Orders/Lits": grpcauth.Require("orders:read"),
	}})
	// In a program: s.GetServiceInfo().
	services := map[string]grpc.ServiceInfo{"orders.v1.Orders": {Methods: []grpc.MethodInfo{{Name: "List"}, {Name: "Pay"}}}}
	fmt.Println(auth.Covers(services))
	// Output:
	// grpcauth: /orders.v1.Orders/Lits has a rule and is not served
	// grpcauth: /orders.v1.Orders/Pay has no rule
}

func ExampleFrom() {
	_, ok := grpcauth.From(context.Background()) // went through no interceptor
	fmt.Println(ok)
	// Output: false
}

func ExampleRequireOnce() {
	defer func() { fmt.Println(recover() != nil) }()
	grpcauth.RequireOnce("orders:pay orders:refund") // one string is one scope
	// Output: true
}
