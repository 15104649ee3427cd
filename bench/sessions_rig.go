package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

// sessionKind is a way to keep sessions, ours and that of scs.
type sessionKind struct {
	name  string
	serve func(dir string) (*sessionServer, error) // nil: nobody else is needed
	home  func(r *rig, number string, database string) string
	peer  func(context.Context, *rig) (*peer, error)
	own   bool // in the table of the database that holds everything else
	waits bool // for the disk or for another process: time that passes is reported too
	hands int  // how many fill it at once; 0: it is filled by writing into its table
}

func sessionKinds() []sessionKind {
	none := func(*rig, string, string) string { return "" }
	return []sessionKind{
		{name: "memory", peer: memoryPeer, hands: 1, home: func(*rig, string, string) string { return "memory:" }},
		{name: "file", peer: memoryPeer, hands: 64, home: func(r *rig, n, _ string) string { return "file:" + r.file("sessions"+n) }},
		{name: "sqlite own", peer: sqlitePeer, own: true, waits: true, home: none},
		{name: "sqlite apart", peer: sqlitePeer, waits: true,
			home: func(r *rig, n, _ string) string { return "sqlite:" + r.file("sessions"+n+".db") }},
		{name: "postgres own", serve: startPostgres, peer: postgresPeer, own: true, waits: true, home: none},
		{name: "postgres apart", serve: startPostgres, peer: postgresPeer, waits: true,
			home: func(_ *rig, _, database string) string { return database }},
		{name: "redis", serve: startRedis, peer: redisPeer, waits: true, hands: 128,
			home: func(r *rig, n, _ string) string { return "redis://" + r.server.address + "?prefix=wafer" + n + ":" }},
	}
}

// rig is the folder and the server of one suite.
type rig struct {
	kind   sessionKind
	dir    string
	server *sessionServer
	made   int
	ends   []func() error // what was opened
}

func newRig(k sessionKind) (*rig, error) {
	dir, err := os.MkdirTemp("", "wafer-bench-sessions-")
	if err != nil {
		return nil, err
	}
	r := &rig{kind: k, dir: dir}
	if k.serve == nil {
		return r, nil
	}
	if r.server, err = k.serve(dir); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) peer(ctx context.Context) (*peer, error) { return r.kind.peer(ctx, r) }

// places are where the truth and the sessions of a new house are, and the database
// that sessions are in: a URL of PostgreSQL, sqlite:FILE or neither.
func (r *rig) places(ctx context.Context) (truth sqlstore.Config, home, tables string, err error) {
	r.made++
	number := strconv.Itoa(r.made)
	truth.Path = r.file("truth" + number + ".db")
	database := ""
	if r.server != nil && r.server.makes {
		if database, err = r.server.database(ctx, "wafer"+number); err != nil {
			return truth, "", "", err
		}
	}
	home = r.kind.home(r, number, database)
	switch {
	case !r.kind.own:
		tables = home
	case database == "":
		tables = "sqlite:" + truth.Path
	default:
		truth, tables = sqlstore.Config{URL: database}, database
	}
	return truth, home, tables, nil
}

func (r *rig) close() error {
	var errs []error
	for _, end := range slices.Backward(r.ends) {
		errs = append(errs, end())
	}
	if r.server != nil {
		r.server.stop()
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// sessionServer is a server of another project, from the program that is installed.
type sessionServer struct {
	process
	address string // host:port
	makes   bool   // databases, by name
	goodbye syscall.Signal
}

func (s *sessionServer) stop() {
	if err := s.cmd.Process.Signal(s.goodbye); err == nil {
		_ = s.cmd.Wait() // how it ended says nothing
	}
}

// database makes an empty database and returns its URL.
func (s *sessionServer) database(ctx context.Context, name string) (string, error) {
	c, err := pgx.Connect(ctx, s.url+"postgres?sslmode=disable")
	if err != nil {
		return "", err
	}
	_, err = c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return s.url + name + "?sslmode=disable", errors.Join(err, c.Close(ctx))
}

// launch starts a server and waits until it is ready.
func (s *sessionServer) launch(ready func() error) error {
	var said bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		return err
	}
	err := errors.New("never asked")
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		if err = ready(); err == nil {
			return nil
		}
	}
	s.stop()
	return fmt.Errorf("%s is not ready: %w\n%s", s.cmd.Path, err, said.Bytes())
}

// startRedis runs a Redis that loses nothing that it has acknowledged.
func startRedis(dir string) (*sessionServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if path, err = exec.LookPath("valkey-server"); err != nil {
			return nil, fmt.Errorf("redis-server: %w", errNotInstalled)
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &sessionServer{address: "127.0.0.1:" + port, goodbye: syscall.SIGTERM}
	s.cmd = exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	return s, s.launch(func() error {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// startPostgres runs a PostgreSQL whose commits wait for the disk, as they do
// unless it is told otherwise.
func startPostgres(dir string) (*sessionServer, error) {
	bin := postgresPrograms()
	if bin == "" {
		return nil, fmt.Errorf("PostgreSQL: %w", errNotInstalled)
	}
	var who *syscall.Credential
	data := filepath.Join(dir, "postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // it refuses to run as root
		var err error
		if who, err = postgresUser(); err == nil {
			err = errors.Join(os.Chmod(dir, 0o711), os.Chown(data, int(who.Uid), int(who.Gid)))
		}
		if err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "wafer", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = data, &syscall.SysProcAttr{Credential: who}
	if said, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, said)
	}
	s := &sessionServer{address: "127.0.0.1:" + port, makes: true, goodbye: syscall.SIGINT}
	s.url = "postgres://wafer@" + s.address + "/"
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "log_min_messages=fatal")
	s.cmd.Dir, s.cmd.SysProcAttr = data, &syscall.SysProcAttr{Credential: who}
	return s, s.launch(func() error {
		c, err := pgx.Connect(context.Background(), s.url+"postgres?sslmode=disable")
		if err != nil {
			return err
		}
		return c.Close(context.Background())
	})
}

// postgresPrograms is the folder of an installed PostgreSQL, "" without one.
func postgresPrograms() string {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return ""
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	for _, folder := range slices.Backward(folders) {
		if _, err := os.Stat(filepath.Join(folder, "postgres")); err == nil {
			return folder
		}
	}
	return ""
}

// postgresUser is somebody to run it as who is not root.
func postgresUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("nobody to run PostgreSQL as")
}
