// Package middleware is what every request passes before a handler sees it:
//
//	request id -> access log -> recover -> headers -> CORS -> host -> client address -> body cap -> handler
//
// Headers for other origins come before anything that can refuse, so that a page
// can read why. What leaves with a cookie passes a last check on its way out: it is
// never cached, and never larger than browsers keep.
//
// Which pages may do what follows from one list, the origins of the registered
// clients (Origins): who may send unsafe requests (CrossOrigin) and who may read
// answers (Sharing). The table of the first stands at CrossOrigin; package
// verify/httpauth has the same rules for users' services, and both are tested with
// the same rows.
//
// It also holds what handlers of several surfaces do alike and must do strictly:
// reading the session cookie, reading a form or a JSON body, and telling origins
// apart. It has no rules about users.
package middleware
