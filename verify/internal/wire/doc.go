// Package wire knows which URLs may carry keys and secrets, and how they travel.
package wire
