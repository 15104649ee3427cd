// Package storetest is the contract of a store, as tests. A backend passes when
// Run passes; what a port promises and no case here proves is not promised.
package storetest
