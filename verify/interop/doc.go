// Package interop compares package jose with three other libraries: what one
// side signs or encrypts the other must read, and whatever jose accepts after a
// token was tampered with the others must accept too. It holds only tests, in a
// module of its own, so that nobody who imports verify gets these libraries.
package interop
