// Package outbox tells other parties of what was taken back, at least once each,
// whatever dies meanwhile. It is a durable queue that is fed from the revocation
// log: a topic has a place in the log, and moving on in it and adding the messages
// that the entries ask for is one change. So any number of nodes may do it, and
// every entry yields its messages exactly once.
//
//	log --topic's place--> waiting --claimed--> delivered, and gone
//	                          ^         |
//	                          +-failed--+-- too old, or refused --> given up, and listed
//
// A claim is for a while: when its holder dies, somebody else takes over. What is
// for one receiver is sent by one node at a time, oldest first, so that a receiver
// that hangs holds up nobody else.
//
// The package also keeps streams: receivers that said themselves what they want to
// hear. What a message says, and how it travels, is the business of its topic.
package outbox
