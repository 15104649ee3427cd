package grpcauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/wafer-auth/wafer/verify"
)

// retryAfter is enough for an issuer that restarts.
const retryAfter = time.Second

// domain is that of every ErrorInfo.
const domain = "wafer-auth.org"

var (
	errUndeclared = errors.New("the method has no rule")
	errRevoked    = fmt.Errorf("on a stream: %w", verify.ErrRevoked)
	errExpired    = fmt.Errorf("on a stream: %w", verify.ErrExpired)
)

// missing is ErrScope with all that is needed.
type missing struct{ scopes string }

func scopeError(scopes []string) error { return missing{strings.Join(scopes, " ")} }

func (m missing) Error() string { return verify.ErrScope.Error() }
func (m missing) Unwrap() error { return verify.ErrScope }

// nonceWanted is ErrProofNonce with the nonce that the next proof must carry.
type nonceWanted struct{ nonce string }

func (n nonceWanted) Error() string { return verify.ErrProofNonce.Error() }
func (n nonceWanted) Unwrap() error { return verify.ErrProofNonce }

// answer is one row of the table in the package comment.
type answer struct {
	code    codes.Code
	message string
}

func answerOf(err error) answer {
	switch {
	case errors.Is(err, errUndeclared):
		return answer{codes.PermissionDenied, "undeclared_method"}
	case errors.Is(err, errRevoked):
		return answer{codes.Unauthenticated, "revoked"}
	case errors.Is(err, errExpired):
		return answer{codes.Unauthenticated, "expired"}
	case errors.Is(err, verify.ErrNoCredential):
		return answer{codes.Unauthenticated, "credential_required"}
	case errors.Is(err, verify.ErrAmbiguous):
		return answer{codes.Unauthenticated, "invalid_request"}
	case errors.Is(err, verify.ErrScope):
		return answer{codes.PermissionDenied, "insufficient_scope"}
	case errors.Is(err, verify.ErrStepUp):
		return answer{codes.Unauthenticated, "insufficient_user_authentication"}
	case errors.Is(err, verify.ErrProofNonce):
		return answer{codes.Unauthenticated, "use_dpop_nonce"}
	case errors.Is(err, verify.ErrProof), errors.Is(err, verify.ErrProofReplayed):
		return answer{codes.Unauthenticated, "invalid_dpop_proof"}
	case errors.Is(err, verify.ErrUnavailable), errors.Is(err, verify.ErrStale):
		return answer{codes.Unavailable, "unavailable"}
	}
	return answer{codes.Unauthenticated, "invalid_token"}
}

// answerTo is the status of a refusal.
func answerTo(err error) error {
	ans := answerOf(err)
	info := &errdetails.ErrorInfo{Reason: strings.ToUpper(ans.message), Domain: domain}
	var m missing
	var n nonceWanted
	switch {
	case errors.As(err, &m):
		info.Metadata = map[string]string{"scope": m.scopes}
	case errors.As(err, &n):
		info.Metadata = map[string]string{"dpop_nonce": n.nonce}
	}
	details := []protoadapt.MessageV1{info}
	if ans.code == codes.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	s, err := status.New(ans.code, ans.message).WithDetails(details...)
	if err != nil {
		panic(err) // only a status OK has no details
	}
	return s.Err()
}

// contextStatus is that of a stream whose caller has gone.
func contextStatus(ctx context.Context) error { return status.FromContextError(ctx.Err()).Err() }

// refuse writes the one log line and gives the status.
func (a *Auth) refuse(ctx context.Context, method string, err error) error {
	level, reason := slog.LevelInfo, verify.Reason(err)
	if errors.Is(err, errUndeclared) {
		level, reason = slog.LevelError, "undeclared_method"
	}
	attrs := []slog.Attr{
		slog.String("reason", reason),
		slog.String("code", answerOf(err).code.String()),
		slog.String("method", method),
	}
	if errors.Is(err, verify.ErrUnavailable) {
		attrs = append(attrs, slog.String("cause", err.Error()))
	}
	a.logger().LogAttrs(ctx, level, "call refused", attrs...)
	return answerTo(err)
}
