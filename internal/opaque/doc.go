// Package opaque makes and checks the values that must not be guessed: random
// identifiers and secrets, their hashes, keyed codes and sealed boxes. All
// randomness and all symmetric cryptography of the server, outside JOSE, is here.
package opaque
