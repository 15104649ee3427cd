package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a start or a stop may take.
const patience = 60 * time.Second

// Server is a PostgreSQL that listens on a loopback port.
type Server struct {
	bin   string
	dir   string // its data are below
	port  int
	owner *syscall.Credential // nil for who we are
	pid   int                 // of the postmaster, 0 when it does not run

	watcher *exec.Cmd
	alive   io.Closer
}

// Start runs a server of the test's own, which ends with the test. Settings are
// lines of postgresql.conf.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	bin := need(t)
	s, err := launch(bin, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// launch makes a server and runs it.
func launch(bin string, settings []string) (*Server, error) {
	s, err := prepare(bin, settings)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.watch(), s.start()); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// need finds the programs, or ends the test.
func need(t testing.TB) string {
	t.Helper()
	bin := find()
	if bin != "" {
		return bin
	}
	if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
		t.Fatal("PostgreSQL is not installed, and WAFER_REQUIRE_SERVICES=1")
	}
	t.Skip("PostgreSQL is not installed: what we store there is NOT tested here")
	return ""
}

// find is the folder of the newest PostgreSQL that can make and run a server, ""
// without one.
func find() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && runnable(filepath.Dir(path)) {
			return filepath.Dir(path)
		}
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return ""
	}
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range folders {
		if runnable(folder) {
			return folder
		}
	}
	return ""
}

func version(folder string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	if err != nil {
		return 0
	}
	return n
}

func runnable(folder string) bool {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// prepare makes a folder with an empty server. PostgreSQL refuses to run as root.
func prepare(bin string, settings []string) (s *Server, err error) {
	s = &Server{bin: bin}
	if os.Geteuid() == 0 {
		if s.owner, err = somebody(); err != nil {
			return nil, err
		}
	}
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "wafer", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-N"); err != nil {
		return nil, err
	}
	lines := append([]string{
		"listen_addresses = '127.0.0.1'", fmt.Sprint("port = ", s.port), "unix_socket_directories = ''", "max_connections = 200",
		"shared_buffers = '64MB'", "log_min_messages = fatal", "autovacuum_naptime = 10",
	}, settings...)
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	return s, errors.Join(err, f.Close())
}

// somebody is a user to run as who is not root.
func somebody() (*syscall.Credential, error) {
	var errs []error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("nobody to run PostgreSQL as: %w", errors.Join(errs...))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs one of the programs to its end, as the owner.
func (s *Server) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	// The postmaster keeps what it was given: only a file lets us not wait for it.
	out, err := os.CreateTemp("", "pgtest")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(said))
	}
	return nil
}

func (s *Server) start() error {
	if err := s.run("pg_ctl", "start", "-w", "-D", s.data(), "-l", filepath.Join(s.dir, "log")); err != nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%w\n%s", err, said)
	}
	said, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(said), "\n")
	s.pid, err = strconv.Atoi(strings.TrimSpace(first))
	return err
}

func (s *Server) stop(mode string) error {
	if s.pid == 0 {
		return nil
	}
	s.pid = 0
	return s.run("pg_ctl", "stop", "-w", "-m", mode, "-D", s.data())
}

func (s *Server) remove() error {
	if s.pid != 0 {
		s.signal(syscall.SIGCONT)
	}
	return errors.Join(s.stop("immediate"), s.unwatch(), os.RemoveAll(s.dir))
}

// Start runs the server again, on the same port.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Stop ends every connection and the server.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.stop("fast"); err != nil {
		t.Fatal(err)
	}
}

// Crash ends the server as a power cut would: it recovers at the next start.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if err := s.stop("immediate"); err != nil {
		t.Fatal(err)
	}
}

// Pause lets every process of the server stand still. New connections are
// accepted by the system, and nobody answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(syscall.SIGCONT)
}

// signal reaches the postmaster first, so that it starts nobody meanwhile.
func (s *Server) signal(sig syscall.Signal) {
	_ = syscall.Kill(s.pid, sig) // one that is gone needs none
	for _, pid := range children(s.pid) {
		_ = syscall.Kill(pid, sig)
	}
}

// children are the processes that a process has started.
func children(parent int) (all []int) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, path := range stats {
		said, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; state and parent follow it.
		fields := strings.Fields(string(said[bytes.LastIndexByte(said, ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// URL is a database of the server.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("wafer"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: database,
		RawQuery: "sslmode=disable"}
	return u.String()
}

// Do runs SQL in a database of the server, as an administrator.
func (s *Server) Do(t testing.TB, database, query string, args ...any) {
	t.Helper()
	if err := s.do(database, query, args...); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) do(database, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, query, args...)
	return errors.Join(err, c.Close(ctx))
}

// Number is the first column of the only row that a query gives.
func (s *Server) Number(t testing.TB, database, query string, args ...any) (n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	err = c.QueryRow(ctx, query, args...).Scan(&n)
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	return n
}
