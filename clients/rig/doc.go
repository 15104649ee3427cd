// Package rig starts the server, another provider beside it as a control, and plays
// the person who signs in. It is for tests only.
package rig
