package sqlstore

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// secureFile makes an empty database file that only its owner can read, or looks
// at the one that is there. SQLite gives its other files the same mode.
func secureFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return checkMode(path)
	}
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at database: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("database %s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("database %s is open to every user of this machine (mode %04o): run chmod 600 on it", path, mode)
	}
	return nil
}

// syncFolder makes the name of a new file as durable as what will be in it.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	err = folder.Sync()
	if closed := folder.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("make database: %w", err)
	}
	return nil
}

// ErrLocked means that another store has the file open, in this process or in
// another one.
var ErrLocked = errors.New("another store has the database open")

// lockFile makes the store the only one on a database file, until what it returns
// is closed or the process ends: a store knows that nobody else makes changes. The
// lock is a file of its own. Closing a second descriptor of the database itself
// would drop SQLite's own locks on it.
func lockFile(path string) (*os.File, error) {
	path, err := filepath.EvalSymlinks(path) // one lock whatever name it goes by
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+"-lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// The settings of a connection. A transaction is on disk before COMMIT returns
// (synchronous=FULL). Another process may hold SQLite's lock for a moment
// (busy_timeout): a backup made beside the server. What is read comes from the
// system's own cache (mmap_size), without a copy; a system without so much room for
// addresses is asked for less.
var (
	forWriting = map[string][]string{
		"_journal_mode": {"WAL"}, "_synchronous": {"FULL"}, "_txlock": {"immediate"},
		"_pragma": {"wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-16384)", "temp_store(MEMORY)"},
	}
	forReading = map[string][]string{
		"_query_only": {"1"}, "_pragma": {"cache_size(-4096)", "temp_store(MEMORY)", "mmap_size(1073741824)"},
	}
)

// source is a file and the settings of its connections, for the driver.
func source(path string, settings map[string][]string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	q := url.Values{"mode": {"rw"}, "_busy_timeout": {"5000"}, "_defensive": {"1"}, "_dqs": {"0"}}
	for k, v := range settings {
		q[k] = v
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return u.String()
}

// oldest is the first SQLite without the bug that resets a log which another
// connection still writes (fixed in 3.51.3).
var oldest = [3]int{3, 51, 3}

func checkVersion(c *conn) error {
	text := ""
	if _, err := c.one(func(r *row) { text = r.text() }, "SELECT sqlite_version()"); err != nil {
		return err
	}
	if !recent(text) {
		return fmt.Errorf("SQLite %s can corrupt its files: version 3.51.3 or later is needed", text)
	}
	return nil
}

func recent(version string) bool {
	parts := strings.Split(version, ".")
	for i, want := range oldest {
		got := 0
		if i < len(parts) {
			got, _ = strconv.Atoi(parts[i])
		}
		if got != want {
			return got > want
		}
	}
	return true
}
