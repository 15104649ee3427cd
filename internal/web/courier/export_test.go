package courier

import "net/netip"

// Open reports whether an address may be sent to.
func (k *Courier) Open(a netip.Addr) bool { return k.reach.open(a) }
