// Package wire knows which URLs may carry keys and secrets.
package wire
