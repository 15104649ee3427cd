// Package grpcauth puts a verify.Verifier in front of a gRPC server. It is a module of its own, so
// that nobody who imports verify gets gRPC.
//
//	auth := grpcauth.New(v, grpcauth.Options{Methods: map[string]grpcauth.Rule{
//		pb.Orders_List_FullMethodName:        grpcauth.Require("orders:read"),
//		pb.Orders_Pay_FullMethodName:         grpcauth.Require("orders:pay").By(v.Under(verify.Strict)),
//		healthpb.Health_Check_FullMethodName: grpcauth.Public(),
//	}})
//	s := grpc.NewServer(grpc.UnaryInterceptor(auth.Unary), grpc.StreamInterceptor(auth.Stream))
//	pb.RegisterOrdersServer(s, orders)
//	if err := auth.Covers(s.GetServiceInfo()); err != nil {
//		log.Fatal(err)
//	}
//
// and inside a method
//
//	id, _ := grpcauth.From(ctx)
//
// # Which methods
//
// A method without a rule is refused, health checks and reflection too. A rule is found by the full
// name that gRPC runs the method by, byte for byte, and there are no patterns: nothing in a path
// can be read in two ways. Covers tells at start which methods have no rule, and which rules no
// method. Put these interceptors before all others that act on what a caller says.
//
// # Which credential counts
//
// A token in the authorization metadata, given exactly once; twice is refused, because nobody
// can say which one a proxy in front has looked at. Cookies, and copies of a header that a gateway
// makes under other names, are not read.
//
// # Bound tokens
//
// A token that is bound to a key by DPoP (RFC 9449) comes as "DPoP <token>", with one proof in the
// dpop metadata: for the method POST and the URL Options.Base + "/package.Service/Method". Under
// Bearer it is refused, and so is a bearer token under DPoP. One proof begins one call; a stream
// needs one at its beginning. With Options.ProofNonces the details of use_dpop_nonce hold the nonce
// for the next proof as dpop_nonce. A token that is bound to a certificate (RFC 8705) needs it on
// the connection, and a server that asks for one.
//
// # Streams
//
// The context of a stream ends when the credential of its caller does, as verify.Verifier.Follow has
// it. Messages that are waited for end with it, in both directions, and no further one passes; the
// caller gets the status below whatever the method returns. A method that waits for something else
// must watch the context. A message must not be looked at, nor used again, when RecvMsg or SendMsg
// has given an error.
//
// # Used elsewhere
//
// A credential may be bound to the network and the kind of device it was given to (package bound).
// It is compared with the address of the connection, or what Options.Address makes of it, and with
// the user-agent and accept-language metadata. A service that other services call on behalf of people
// sees neither: it sets Options.Elsewhere to httpauth.IgnoreElsewhere.
//
// # Answers
//
//	code              message               when
//	Unauthenticated   credential_required   no credential
//	Unauthenticated   invalid_request       more than one credential, or an unreadable one
//	Unauthenticated   invalid_token         the credential is refused, for whatever reason
//	Unauthenticated   insufficient_user_authentication
//	                                        it is bound to another network or device: sign in again
//	Unauthenticated   invalid_dpop_proof    the proof is for another call, token or key, out of time or used
//	Unauthenticated   use_dpop_nonce        the proof lacks a nonce of the service: the details have one
//	Unauthenticated   revoked               on a stream: it was good, and was taken back
//	Unauthenticated   expired               on a stream: it was good, and its time has come
//	PermissionDenied  insufficient_scope    it is good, but lacks a scope; the details list all that are needed
//	PermissionDenied  undeclared_method     there is no rule for this method
//	Unavailable       unavailable           issuer, keys or revocations are not to be had; RetryInfo says when to try again
//
// The message stands in the reason of an ErrorInfo as well, in capitals. The answers are bland on
// purpose: why stands in the log, one line for each refusal at level Info (Error for a method without
// a rule), with the code that verify.Reason gives and never any part of the credential.
package grpcauth
