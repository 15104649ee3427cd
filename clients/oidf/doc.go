// Package oidf holds the server to what the OpenID conformance suite looks for: each
// test is named after the module of the suite that it mirrors. It is not the suite, and
// passing it is no certification.
package oidf
