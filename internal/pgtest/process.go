package pgtest

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// Process is the server that the tests of a process share. Its zero value starts
// one when the first test asks. Make one variable of it, and let TestMain end it.
type Process struct {
	once   sync.Once
	server *Server
	err    error
	last   atomic.Int64
}

// Server is the server itself, for tests that leave it running.
func (p *Process) Server(t testing.TB) *Server {
	t.Helper()
	bin := need(t)
	p.once.Do(func() {
		// What is kept here ends with the process: nothing must survive a power cut.
		p.server, p.err = launch(bin, []string{"fsync = off", "full_page_writes = off"})
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.server
}

// Database makes a new, empty database and returns its URL and its name. It is
// removed with the server.
func (p *Process) Database(t testing.TB) (url, name string) {
	t.Helper()
	s := p.Server(t)
	name = fmt.Sprint("test", p.last.Add(1))
	s.Do(t, "postgres", "CREATE DATABASE "+name)
	return s.URL(name), name
}

// End ends the server, when there is one. It is for TestMain, after all tests.
func (p *Process) End() {
	if p.server == nil {
		return
	}
	if err := p.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "end PostgreSQL:", err)
	}
}
