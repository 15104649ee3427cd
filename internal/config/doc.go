// Package config is everything an operator can set, with its defaults, and what
// is refused at start because it would be unsafe.
package config
