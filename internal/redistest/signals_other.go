//go:build !unix

package redistest

import "syscall"

// Redis runs on Unix only: these are never sent.
const (
	pauseSignal  = syscall.SIGTERM
	resumeSignal = syscall.SIGTERM
)
