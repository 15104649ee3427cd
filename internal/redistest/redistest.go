package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long the server may take to start or to end.
const patience = 20 * time.Second

// names are what the server is called.
var names = []string{"redis-server", "valkey-server"}

// Durable are the lines of redis.conf with which nothing acknowledged is lost.
var Durable = []string{"appendonly yes", "appendfsync always"}

// Server is a Redis of a test's own. Its methods are for one goroutine.
type Server struct {
	t    testing.TB
	dir  string
	host string // host:port
	conf []string

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
}

// Start runs a server that ends with the test, with these lines added to its
// redis.conf. It keeps nothing over a restart unless they say so.
func Start(t testing.TB, conf ...string) *Server {
	t.Helper()
	if find() == "" {
		if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
			t.Fatal("redis-server is not installed, and WAFER_REQUIRE_SERVICES=1")
		}
		t.Skip("redis-server is not installed: how sessions are kept in Redis is NOT tested here")
	}
	// Not t.TempDir: the path of a Unix socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, conf: conf}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the data of Redis: %v", err)
		}
	})
	// A free port may be taken by somebody else before the server has it.
	for range 5 {
		s.host = freePort(t)
		if err = s.start(); err == nil {
			return s
		}
	}
	t.Fatalf("start Redis: %v", err)
	return nil
}

// Address is host:port on loopback.
func (s *Server) Address() string { return s.host }

// URL names the server by its TCP port.
func (s *Server) URL() string { return "redis://" + s.host }

// Socket is the path of its Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "redis.sock") }

// Start runs it again, on the same port and on what it left.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("start Redis again: %v", err)
	}
}

// Launch is Start that does not wait until the server answers.
func (s *Server) Launch() {
	s.t.Helper()
	if _, err := s.launch(); err != nil {
		s.t.Fatalf("launch Redis: %v", err)
	}
}

// Stop ends it as its service manager would: what it keeps is written.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends it at once, as a crash would.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause freezes it: connections stay open, and nothing answers.
func (s *Server) Pause() { s.signal(pauseSignal) }

// Resume lets it go on.
func (s *Server) Resume() { s.signal(resumeSignal) }

func (s *Server) start() error {
	ended, err := s.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-ended:
			return fmt.Errorf("it ended at once:\n%s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer:\n%s", s.Log())
		case <-tick.C:
		}
	}
	return nil
}

func (s *Server) launch() (ended chan struct{}, err error) {
	host, port, err := net.SplitHostPort(s.host)
	if err != nil {
		return nil, err
	}
	lines := append([]string{
		"bind " + host, "port " + port, "unixsocket " + s.Socket(), "dir " + s.dir, "logfile " + s.logFile(), "daemonize no", `save ""`,
	}, s.conf...)
	file := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	c := exec.Command(find(), file)
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended = make(chan struct{})
	go func() {
		c.Wait() // killed by us: how it ended says nothing
		close(ended)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.ended = c, ended
	return ended, nil
}

// answers reports whether the server takes commands; one that asks for a password
// first does.
func (s *Server) answers(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.Socket())
	if err != nil {
		return false
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		conn.SetDeadline(until)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && (strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH") || strings.HasPrefix(line, "-NOPERM"))
}

func (s *Server) end(how syscall.Signal) {
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process = nil
	s.mu.Unlock()
	if process == nil {
		return
	}
	process.Process.Signal(resumeSignal) // one that is frozen does not hear SIGTERM
	process.Process.Signal(how)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		process.Process.Kill()
		<-ended
		s.t.Errorf("Redis did not end on %v", how)
	}
}

func (s *Server) signal(which syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatal("Redis is not running")
	}
	if err := s.process.Process.Signal(which); err != nil {
		s.t.Fatalf("signal Redis: %v", err)
	}
}

// Log is what the server wrote about itself.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func find() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
