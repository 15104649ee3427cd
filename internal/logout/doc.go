// Package logout tells applications that a session they took part in has ended, from
// server to server (OpenID Connect Back-Channel Logout 1.0). An entry of the
// revocation log that ends sessions becomes one message for each client that had a
// part in them and has an address for it; the message becomes a logout token when
// it is sent, since such a token is good for minutes and a message is tried for a
// day.
//
// Front tells them through the browser besides (Front-Channel Logout 1.0), when the
// session ends there.
//
// What ends a single grant or token is not told: the session lives on.
package logout
