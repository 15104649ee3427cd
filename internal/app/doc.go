// Package app builds everything and runs it. It alone knows every part: the
// others are handed what they need.
package app
