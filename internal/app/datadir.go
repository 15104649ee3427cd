package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/wafer-auth/wafer/internal/opaque"
)

// ErrLocked means that another process serves from the data folder.
var ErrLocked = errors.New("another wafer runs on this data folder")

// dataDir is the folder of one installation, held by one process.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir creates the folder if need be and takes its lock.
func openDataDir(path string) (*dataDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, "wafer.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", abs, ErrLocked)
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return &dataDir{path: abs, lock: lock}, nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) close() error { return d.lock.Close() }

// masterKey reads the master key, or makes it when there is none and no database
// either: a database without its key is an error, never a reason for a new key.
func (d *dataDir) masterKey(file string) (*opaque.Root, error) {
	own := file == ""
	if own {
		file = d.file("master.key")
	}
	raw, err := readSecretFile(file)
	if errors.Is(err, fs.ErrNotExist) && own {
		return d.newMasterKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return parseMasterKey(file, raw)
}

func (d *dataDir) newMasterKey(file string) (*opaque.Root, error) {
	if _, err := os.Stat(d.file("wafer.db")); err == nil {
		return nil, fmt.Errorf("master key %s is missing, but there is a database: put the key back, or name it with --key-file", file)
	}
	key := opaque.Bytes(opaque.RootSize)
	text := base64.RawURLEncoding.EncodeToString(key) + "\n"
	if err := writeNew(file, text); err != nil {
		return nil, fmt.Errorf("write master key: %w", err)
	}
	return opaque.NewRoot(key)
}

func parseMasterKey(file string, raw []byte) (*opaque.Root, error) {
	if len(raw) == opaque.RootSize {
		return opaque.NewRoot(raw)
	}
	key, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != opaque.RootSize {
		return nil, fmt.Errorf("master key %s: want %d bytes, or 43 characters of base64url", file, opaque.RootSize)
	}
	return opaque.NewRoot(key)
}

// readSecretFile refuses a file that others can read or write.
func readSecretFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o: others can read it; run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	return os.ReadFile(file)
}

// writeNew creates a file of mode 0600 that was not there, and makes it durable.
func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(file)))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
