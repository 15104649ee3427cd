// Package store names the whole of what a backend keeps. The flows declare the
// ports; a backend implements them all and passes storetest.
package store
