// Package middleware is what every request passes before a handler sees it:
//
//	request id -> access log -> recover -> headers -> host -> client address -> body cap -> handler
//
// It also holds what handlers of several surfaces do alike and must do strictly:
// reading the session cookie, reading a form or a JSON body, and telling origins
// apart. It has no rules about users.
package middleware
