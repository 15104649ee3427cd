// Package signin turns a login and a password into a session.
//
//	limits -> hash gate -> (unknown user: dummy hash) -> account state -> session
//
// A wrong password, an unknown user and a disabled account give one answer, in
// one time.
package signin
