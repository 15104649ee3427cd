// Package account is what Wafer knows of a person who may sign in: a login, a
// password hash, roles, and whether the account is disabled.
package account
