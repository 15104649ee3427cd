package revoke

import "time"

// slack is how long after its expiry a token may still be shown to somebody: leeway,
// and twice the tolerated clock skew (I9).
const slack = 2 * time.Minute

// KeepFor is how long an entry is kept: the longest lifetime of an access token
// (24 h), and slack.
const KeepFor = 24*time.Hour + slack

// New makes an entry that is kept long enough.
func New(kind Kind, key, reason string, now time.Time) Entry {
	return Entry{Kind: kind, Key: key, At: now, KeepUntil: now.Add(KeepFor), Reason: reason}
}

// NewToken makes the entry of one access token whose expiry is known. It is kept no
// longer than the token can be shown: tokens that count once leave one entry each.
func NewToken(jti, reason string, now, expires time.Time) Entry {
	e := New(Token, jti, reason, now)
	if end := expires.Add(slack); end.Before(e.KeepUntil) {
		e.KeepUntil = end
	}
	return e
}
