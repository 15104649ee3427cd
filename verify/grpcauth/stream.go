package grpcauth

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/wafer-auth/wafer/verify"
)

// Stream is a grpc.StreamServerInterceptor: a method runs only for a caller whom its rule admits, and
// its stream ends when the caller's credential does.
func (a *Auth) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	id, v, err := a.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return a.refuse(stream.Context(), info.FullMethod, err)
	}
	if id == nil {
		return handler(server, stream)
	}
	ctx, stop := v.Follow(context.WithValue(stream.Context(), identityKey{}, id), id)
	defer stop()
	err = handler(server, &followed{ServerStream: stream, ctx: ctx})
	if end := ended(ctx); end != nil {
		return a.refuse(ctx, info.FullMethod, end)
	}
	return err
}

// ended gives why the credential behind a stream has ended, nil when it has not.
func ended(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, verify.ErrRevoked):
		return errRevoked
	case errors.Is(cause, verify.ErrExpired):
		return errExpired
	case errors.Is(cause, verify.ErrStale):
		return cause
	}
	return nil
}

// followed is a stream that ends with a credential.
type followed struct {
	grpc.ServerStream
	ctx context.Context
}

func (f *followed) Context() context.Context { return f.ctx }

func (f *followed) RecvMsg(m any) error {
	return f.until(func() error { return f.ServerStream.RecvMsg(m) })
}

func (f *followed) SendMsg(m any) error {
	return f.until(func() error { return f.ServerStream.SendMsg(m) })
}

// until does something that may wait for the caller, as long as the credential is good. gRPC waits
// on a context of its own, which ends when the method has returned; so what is left behind here ends.
func (f *followed) until(do func() error) error {
	if f.ctx.Err() != nil {
		return f.over()
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		// What came in at the same moment came too late.
		if ended(f.ctx) != nil {
			return f.over()
		}
		return err
	case <-f.ctx.Done():
		return f.over()
	}
}

// over is what a method gets of a stream that has ended.
func (f *followed) over() error {
	if end := ended(f.ctx); end != nil {
		return answerTo(end)
	}
	return contextStatus(f.ctx)
}
