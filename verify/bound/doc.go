// Package bound ties a credential to the network and the kind of device it was
// given to, so that a copy is noticed, or worthless, elsewhere.
//
// A mark is a salted hash: whoever holds the credential can check a guess, and
// learns nothing about anybody else. The network is the /24 of an IPv4 address
// or the /48 of an IPv6 address: an address within it may change. The device is
// coarse on purpose, the same for millions of people: family of browser,
// operating system, first language, and nothing that a page would have to
// measure.
//
//	verdict := binding.Check(salt, bound.Seen{Address: addr, Agent: r.UserAgent(), Language: r.Header.Get("Accept-Language")})
//
// A binding does not prove anything by itself: whoever stole a credential may
// stand in the same network, and can send any header. It raises the price.
package bound
