// Package memory keeps everything in maps, under one lock, for as long as the
// process lives. It is for tests and demonstrations: nothing survives Close.
package memory
