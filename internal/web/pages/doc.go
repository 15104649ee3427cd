// Package pages serves what people see: sign-in, sign-out, their account and the
// first set-up. Every page is rendered here and works without JavaScript.
//
//	chain (middleware) -> cross-origin rule -> session (unless public) -> form code -> handler
//
// Who is not signed in is redirected to the sign-in page when a person is looking
// and gets 401 as JSON when it is a script.
//
// A page is one file here, one template, one row of routes, its texts in the
// catalogue and a golden file.
//
// A page is in the language that an application asks for (ui_locales), else in the
// one that the browser prefers, else in English. The public sentences of flows are
// in the catalogue too, under "refused.": say finds them by their English words, and
// leaves in English what is not there.
package pages
