// Package admin holds the rules for changing what is registered: users, clients,
// APIs and roles, one by one or as a declared set-up, and the first
// administrator. Whatever takes something away writes the revocation in the same
// transaction:
//
//	user disabled, removed, given another password   User: every session
//	user's roles changed, role changed or removed    Claims: every token
//	client disabled, removed, made public            Client: everything it was given
//	API disabled, removed                            API: every token for it
//
// No method gives power away: see By.
package admin
