// Package courier sends letters to addresses that others gave us, fetches from them, and
// goes nowhere that they must not reach through us (SSRF). What counts is the address
// that is really connected to, looked at in the moment of connecting: a name that leads
// elsewhere the second time gains nothing. No proxy of the environment is used, and no
// redirect is followed.
package courier
