// Package doctor examines a running Wafer from outside: it replays what a
// browser, an API client and a proxy do, and names each fault with its fix. It
// knows nothing of the server but its surface, and sends nothing to any host but
// the one it was asked about. The only thing it changes is a session, when it is
// given somebody's login: it begins one, and ends it again.
package doctor
