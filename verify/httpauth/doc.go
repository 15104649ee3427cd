// Package httpauth puts a verify.Verifier in front of net/http handlers.
//
//	mux.Handle("GET /orders", httpauth.Require(v, "orders:read")(orders))
//
// and inside the handler
//
//	id, _ := httpauth.From(r.Context())
//
// # Which credential counts
//
// A token in the Authorization header; without one, the session cookie, when the
// verifier has a server to ask about it, or an access token in the cookie Options.TokenCookie.
// Never two of them. Beside a token of the header the session cookie is not even read, because browsers
// attach it to whatever goes to its host. Two Authorization headers, two cookies of one name, a
// token cookie beside any other credential are refused, because nobody can say which one a proxy
// in front has looked at. Tokens in the query or in a form are ignored.
//
// A cookie is found in the raw header: its name must be there byte for byte, since a
// parser that trims spaces lets a neighbor site plant a cookie of the same name.
//
// # Other origins
//
// Options.Origins lists the origins whose pages may use the service, as Wafer has them for the
// client. Two things follow from it: Auth.CORS lets those pages read answers, and the rule below
// lets them send unsafe requests with a cookie. It is the rule of Wafer itself, and it judges
// whatever comes with a cookie; a bearer token is no reason to ask. The rows are tried from the
// top; "-" is anything:
//
//	method              Sec-Fetch-Site     Origin         and                       verdict
//	GET HEAD OPTIONS    -                  -              opens no WebSocket        passes
//	-                   twice              or twice       -                         refused
//	-                   -                  null           -                         refused
//	-                   -                  listed, Base's -                        passes
//	-                   same-origin none   -              -                         passes
//	-                   any other          -              -                         refused
//	-                   absent             the request's  -                         passes
//	-                   absent             any other      -                         refused
//	not POST            absent             absent         -                         passes
//	POST                absent             absent         application/json          passes
//	POST                absent             absent         X-Requested-With          passes
//	POST                absent             absent         Referer own or listed     passes
//	POST                absent             absent         none of these             refused
//
// The last rows are for browsers so old that they say nothing: no page can make one of them send
// another method, JSON or a header of its own to another origin without asking first. A page
// with "Referrer-Policy: no-referrer" sends null with its own forms: let it say same-origin.
//
// # Bound tokens
//
// A token that is bound to a key by DPoP (RFC 9449) comes as "Authorization: DPoP <token>" with
// exactly one DPoP header: a proof by that key for this method, this token and this address under
// Options.Base, made within the last minute and not shown before. Without Base none is taken:
// neither Host nor a forwarding header says what a proof is for. As a bearer token it is refused,
// and so is a bearer token as a bound one. With Options.ProofNonces proofs carry a nonce that the
// service gave out. A token that is bound to a certificate (RFC 8705) is taken when the caller's
// connection has it, or Options.Certificate says so. Cookies and RequireOnce change none of this.
//
// # Signing in
//
// With Options.SignIn a person without a session is redirected to Wafer's sign-in page, and
// returns to where they were, under Options.Base and never under the request's Host. A script is
// never redirected: it gets 401 with the page's URL as "login". Who returns without a session all
// the same, because the browser refuses cookies, gets a page that says so and no second redirect.
//
// # Used elsewhere
//
// A credential may be bound to the network and the kind of device it was given to (package
// bound), as its client says in Wafer. It is compared with each request. Behind a proxy
// Options.Address must say where the person is: else everybody is where the proxy is, and bound
// credentials are refused. RequireOnce accepts a token a single time; RequireLevel wants a recent
// or a strong sign-in.
//
// # Answers
//
//	status  error                when
//	303     -                    no good credential, a person is looking, and SignIn is set
//	401     credential_required  no credential
//	401     invalid_token        the credential is refused, for whatever reason
//	401     invalid_dpop_proof   the proof is for another request, token or key, out of time or used
//	401     use_dpop_nonce       the proof lacks a nonce of the service: the header DPoP-Nonce has one
//	401     insufficient_user_authentication
//	                             it is bound to another network or device, or its sign-in is too old
//	                             or too weak for the route: sign in again (RFC 9470)
//	403     insufficient_scope   it is good, but lacks a scope; the header lists all that are needed
//	403     cross_origin         cookie and unsafe method from another origin
//	400     invalid_request      more than one credential, or an unreadable one
//	431     invalid_request      the Cookie header is over 8 KiB
//	503     unavailable          the issuer or its keys cannot be asked; Retry-After says when to try again
//
// The answers are bland on purpose. The reason stands in the log, one line for each refusal at
// level Info, with the code that verify.Reason gives and never any part of the credential.
package httpauth
