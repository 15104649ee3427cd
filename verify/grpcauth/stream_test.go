package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/grpcauth"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

// open starts a stream that has had one message each way.
func (g *rig) open(token string) pb.TestService_FullDuplexCallClient {
	g.Helper()
	s, err := g.client.FullDuplexCall(g.bearer(token))
	g.must(err)
	g.pass(s)
	return s
}

// pass sends a message and wants the answer.
func (g *rig) pass(s pb.TestService_FullDuplexCallClient) {
	g.Helper()
	g.must(s.Send(&pb.StreamingOutputCallRequest{}))
	a, err := s.Recv()
	if err != nil || string(a.GetPayload().GetBody()) != "ada" {
		g.Fatalf("got %q, %v; log: %s", a.GetPayload().GetBody(), err, g.log)
	}
}

// A stream outlives the check at its beginning, and must not outlive the credential.
func TestRevocationEndsRunningStreamAndNewCalls(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	token := g.token(verifytest.Set("sid", "ses_1"))
	ends, stays := g.open(token), g.open(g.token())
	g.issuer.Revoke("ses_1")
	_, err := ends.Recv() // the method waits for a message that never comes
	g.wants("the stream", err, codes.Unauthenticated, "revoked")
	g.wants("what the method got", g.ends(), codes.Unauthenticated, "revoked")
	if line := g.log.String(); !strings.Contains(line, "reason=token_revoked code=Unauthenticated method="+pb.TestService_FullDuplexCall_FullMethodName) {
		t.Errorf("the log does not tell: %s", line)
	}
	g.pass(stays)
	g.refuses("a new call", func() error { return g.call(g.bearer(token)) }, codes.Unauthenticated, "invalid_token", "token_revoked")
	g.refuses("a new stream", func() error {
		s, err := g.client.FullDuplexCall(g.bearer(token))
		g.must(err)
		_, err = s.Recv()
		return err
	}, codes.Unauthenticated, "invalid_token", "token_revoked")
	g.pass(stays)
	g.must(stays.CloseSend())
	if _, err := stays.Recv(); err != io.EOF && status.Code(err) != codes.Unknown {
		t.Errorf("the end of the other stream: got %v", err)
	}
}

// A caller who does not read holds up whoever sends, revoked or not.
func TestRevocationEndsStreamThatNobodyReads(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	token := g.token()
	s, err := g.client.HalfDuplexCall(g.bearer(token))
	g.must(err)
	if _, err := s.Recv(); err != nil { // the method runs, and soon fills every buffer
		t.Fatal(err)
	}
	g.issuer.Revoke(token)
	g.wants("what the method got", g.ends(), codes.Unauthenticated, "revoked")
	for err == nil {
		_, err = s.Recv()
	}
	g.wants("after what was on its way", err, codes.Unauthenticated, "revoked")
	g.accepts()
}

// A method that finds nothing wrong with the end of its context does not hide it.
func TestEndOfCredentialIsNotSuccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		claim   verifytest.Claim
		leeway  time.Duration
		end     func(*rig)
		cause   error
		code    codes.Code
		message string
	}{
		{name: "revoked", claim: verifytest.Subject("ada"), end: func(g *rig) { g.issuer.Revoke("ada") }, cause: verify.ErrRevoked, code: codes.Unauthenticated, message: "revoked"},
		{name: "stale", claim: verifytest.Subject("ada"), end: func(g *rig) { g.issuer.Fail() }, cause: verify.ErrStale, code: codes.Unavailable, message: "unavailable"},
		{name: "expired", claim: verifytest.ExpiresIn(2 * time.Second), end: func(*rig) {}, cause: verify.ErrExpired, code: codes.Unauthenticated, message: "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(g *rig, o *grpcauth.Options) {
				config := g.issuer.Config()
				config.Feed, config.Stale, config.Leeway = g.issuer.Feed(), verify.Strict, time.Nanosecond
				v, err := verify.New(config)
				g.must(err)
				o.Methods[pb.TestService_StreamingOutputCall_FullMethodName] = grpcauth.Require("orders:read").By(v)
			})
			s, err := g.client.StreamingOutputCall(g.bearer(g.token(c.claim)), &pb.StreamingOutputCallRequest{})
			g.must(err)
			if _, err := s.Recv(); err != nil {
				t.Fatal(err)
			}
			c.end(g)
			_, err = s.Recv()
			g.wants(c.name, err, c.code, c.message)
			if got := g.ends(); !errors.Is(got, c.cause) {
				t.Errorf("the method got %v, want %v", got, c.cause)
			}
		})
	}
}

// Strict refuses while nobody knows what was revoked, and serves again when it is known.
func TestStaleFeedIsUnavailable(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	s := g.open(g.token())
	g.issuer.Fail()
	_, err := s.Recv()
	g.wants("the stream", err, codes.Unavailable, "unavailable")
	g.wants("a call", g.call(g.bearer(g.token())), codes.Unavailable, "unavailable")
	g.issuer.Recover()
	for end := time.Now().Add(wait); g.call(g.bearer(g.token())) != nil; {
		if time.Now().After(end) {
			t.Fatalf("it does not serve again; log: %s", g.log)
		}
	}
	g.accepts()
}

// A stream that its caller gives up ends as it would without us.
func TestStreamThatIsGivenUp(t *testing.T) {
	t.Parallel()
	g := newRig(t, nil)
	ctx, cancel := context.WithCancel(g.bearer(g.token()))
	s, err := g.client.FullDuplexCall(ctx)
	g.must(err)
	g.pass(s)
	cancel()
	if got := g.ends(); status.Code(got) != codes.Canceled {
		t.Errorf("got %v", got)
	}
	if strings.Contains(g.log.String(), "refused") {
		t.Errorf("it counts as refused: %s", g.log)
	}
	closed := g.open(g.token())
	g.must(closed.CloseSend())
	if got := g.ends(); got != io.EOF {
		t.Errorf("got %v, want EOF", got)
	}
}
