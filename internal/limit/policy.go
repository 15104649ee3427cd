package limit

import (
	"net/netip"
	"time"
)

// KeepFor is the longest that a default rule remembers. Counters quiet for longer
// may be purged.
const KeepFor = 24 * time.Hour

// AccountKey names the counter of an account. Give it the account's id, or where
// there is no account a keyed hash of the canonical login: the store must not fill
// with the logins that strangers type.
func AccountKey(name string) string { return "account/" + name }

// AccountRule is the default for one account: five free attempts, then 1, 2, 4 ...
// seconds up to a quarter of an hour, forgotten after a day. It allows about 110
// guesses on the first day and fewer than 100 on each later one.
func AccountRule(name string) Rule {
	return Rule{Key: AccountKey(name), Free: 5, Base: time.Second, Max: 15 * time.Minute, Forget: KeepFor}
}

// NetworkKeys names the counters of an address, the narrower first: IPv4 by /32
// and /24, IPv6 by /64 and /48, since one subscriber has at least a whole /64. An
// IPv4 address inside IPv6 counts as IPv4. All unknown addresses are one network.
func NetworkKeys(address netip.Addr) []string {
	address = address.Unmap().WithZone("")
	switch {
	case !address.IsValid():
		return []string{"network/unknown", "network/unknown/wide"}
	case address.Is4():
		return []string{networkKey(address, 32), networkKey(address, 24)}
	default:
		return []string{networkKey(address, 64), networkKey(address, 48)}
	}
}

func networkKey(address netip.Addr, bits int) string {
	return "network/" + netip.PrefixFrom(address, bits).Masked().String()
}

// NetworkRules are the defaults for a caller's network. They are wide and their
// waits are short, because many who did nothing share an address: 20 attempts that
// nobody refunded for the narrow one, 100 for the wide one, then up to 30 and 10
// seconds, forgotten after ten minutes.
func NetworkRules(address netip.Addr) []Rule {
	keys := NetworkKeys(address)
	return []Rule{
		{Key: keys[0], Free: 20, Base: 250 * time.Millisecond, Max: 30 * time.Second, Forget: 10 * time.Minute},
		{Key: keys[1], Free: 100, Base: 250 * time.Millisecond, Max: 10 * time.Second, Forget: 10 * time.Minute},
	}
}
