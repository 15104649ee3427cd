// Package limit holds the rules of counters that slow guessing down and never lock
// anybody out.
//
// An attempt is counted before the password is looked at, so that parallel
// attempts cannot pass the limit together. A success clears the account's counter
// and takes the attempt back from the network's. Past the free attempts each
// further one costs a wait, twice as long as the last, up to a maximum:
//
//	attempts   1 .. Free   Free+1     Free+2       Free+3 ...
//	wait after    none      Base      2 x Base     4 x Base ... Max
//
// While a wait runs, attempts are refused without being counted: an attacker
// cannot make it longer by hammering.
//
// # One counter for every spelling
//
// Canonical gives the one form of a login that is both looked up and counted, so
// that no other spelling of a login has a counter of its own. What the form makes
// equal:
//
//   - upper and lower case (Unicode case folding: "STRASSE" and "Straße" are one)
//   - full-width, ligature and other compatibility forms (NFKC: "ａｌｉｃｅ" is "alice")
//   - composed and decomposed accents
//   - Unicode space around the login
//
// What it refuses: text that is not UTF-8, control characters and NUL, characters
// that cannot be seen (zero-width, direction marks, variation selectors, fillers),
// private and unassigned ones, and more than MaxLogin bytes.
//
// What it leaves apart: letters of different scripts that look alike (Latin "a",
// Cyrillic "а"), and mail tricks that only some providers know ("a.lice+x@"). They
// are other logins, with other accounts and other counters. An installation that
// lets strangers choose their logins should allow one script for each login.
//
// Send mail only to the address kept with the account, never to the one just typed:
// two addresses with one canonical form can be two mailboxes.
package limit
