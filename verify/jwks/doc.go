// Package jwks keeps an issuer's public keys at hand: a remote key set that is
// fetched on first use, refreshed before it goes stale, and that no stranger
// can turn into a storm of requests.
//
//	keys, err := jwks.New("https://id.example/.well-known/jwks.json", jwks.Options{})
//
// What it promises:
//
//   - Nothing is fetched before the first Key or Refresh, and no goroutine waits for a timer.
//   - Between 50 and 90 % of the response's max-age the next Key starts a refresh in the
//     background. When max-age is over, Key waits for it, but never longer than 100 ms.
//   - One fetch at a time, however many callers wait for it.
//   - A key that left the set is not trusted after the next fetch that works.
//   - When fetches fail the keys at hand serve for 24 hours; then Key says verify.ErrUnavailable.
//   - An unknown key id costs a fetch only as long as a bucket of five, refilled by one every
//     ten seconds, has something left; an id that was looked for in vain is not looked for again
//     for 30 seconds. A thousand tokens with made-up key ids therefore cost five fetches, and a
//     key that is really new is found with the first fetch that anybody caused.
//   - A verifier with a revocation feed hears which document the issuer has now, and fetches
//     one that it does not hold at once: once for each, a second time a second later when the
//     first brought something else. It takes a sixth token of the same bucket, which strangers
//     cannot have: whoever announces, and whatever, causes six fetches and one more every ten
//     seconds.
//   - Symmetric keys in the set are passed over, since what everybody can read proves nothing;
//     of a private key only the public half is used.
//   - At most 256 KiB are read, redirects to other hosts are refused, and the URL must be https
//     or lead to this machine.
package jwks
