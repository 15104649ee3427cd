package revoke

import "time"

// KeepFor is how long an entry is kept: the longest lifetime of an access token
// (24 h), plus leeway and twice the tolerated clock skew (I9).
const KeepFor = 24*time.Hour + 2*time.Minute

// New makes an entry that is kept long enough.
func New(kind Kind, key, reason string, now time.Time) Entry {
	return Entry{Kind: kind, Key: key, At: now, KeepUntil: now.Add(KeepFor), Reason: reason}
}
