package https

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Folder is a Vault of files, for one node or for several on one machine. Files
// have mode 0600 and appear whole or not at all.
type Folder struct{ path string }

var _ Vault = (*Folder)(nil)

// OpenFolder makes the folder, with mode 0700, if it is not there.
func OpenFolder(path string) (*Folder, error) {
	for _, part := range []string{"values", "locks"} {
		if err := os.MkdirAll(filepath.Join(path, part), 0o700); err != nil {
			return nil, fmt.Errorf("open vault: %w", err)
		}
	}
	return &Folder{path}, nil
}

const unfinished = ".new-" // how names of files begin that are being written

// file is where a value is. Keys come from names that strangers choose.
func (f *Folder) file(key string) (string, error) {
	if !fs.ValidPath(key) || key == "." || strings.Contains("/"+key, "/"+unfinished) || strings.ContainsAny(key, "\\\x00") {
		return "", fmt.Errorf("vault has no key %q", key)
	}
	return filepath.Join(f.path, "values", filepath.FromSlash(key)), nil
}

// Load finds a value.
func (f *Folder) Load(_ context.Context, key string) (value []byte, stored time.Time, found bool, err error) {
	file, err := f.file(key)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	info, err := os.Stat(file)
	if err == nil && !info.IsDir() {
		value, err = os.ReadFile(file)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && info.IsDir() {
		return nil, time.Time{}, false, nil
	}
	if err != nil {
		return nil, time.Time{}, false, err
	}
	return value, info.ModTime(), true, nil
}

// Store writes a value. The file system says when.
func (f *Folder) Store(_ context.Context, key string, value []byte, _ time.Time) error {
	file, err := f.file(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return writeFile(file, value)
}

// Delete removes a key and everything below it.
func (f *Folder) Delete(_ context.Context, key string) error {
	file, err := f.file(key)
	if err != nil {
		return err
	}
	return os.RemoveAll(file)
}

// List returns every key below a prefix.
func (f *Folder) List(ctx context.Context, prefix string) ([]string, error) {
	root := filepath.Join(f.path, "values")
	from := root
	if prefix != "" {
		var err error
		if from, err = f.file(prefix); err != nil {
			return nil, err
		}
	}
	var keys []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil || d.IsDir() || path == from || strings.HasPrefix(d.Name(), unfinished) {
			return errors.Join(err, ctx.Err())
		}
		key, err := filepath.Rel(root, path)
		keys = append(keys, filepath.ToSlash(key))
		return err
	})
	slices.Sort(keys)
	return keys, err
}

// lease is who has it, as it is written down.
type lease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// Lock takes or prolongs a lease.
func (f *Folder) Lock(_ context.Context, name, holder string, now, until time.Time) (taken bool, err error) {
	err = f.guarded(name, func(file string) error {
		there, found, err := readLease(file)
		if err != nil || found && there.Holder != holder && there.Until.After(now) {
			return err
		}
		b, err := json.Marshal(lease{holder, until})
		if err == nil {
			err = writeFile(file, b)
		}
		taken = err == nil
		return err
	})
	return taken, err
}

// Unlock ends a lease that is the holder's.
func (f *Folder) Unlock(_ context.Context, name, holder string) error {
	return f.guarded(name, func(file string) error {
		there, found, err := readLease(file)
		if err != nil || !found || there.Holder != holder {
			return err
		}
		return os.Remove(file)
	})
}

// guarded runs do while no other process looks at leases.
func (f *Folder) guarded(name string, do func(file string) error) error {
	guard, err := os.OpenFile(filepath.Join(f.path, "guard"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer guard.Close()
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do(filepath.Join(f.path, "locks", "lease-"+url.PathEscape(name)))
}

func readLease(file string) (lease, bool, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return lease{}, false, nil
	}
	var l lease
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	return l, err == nil, err
}

// writeFile puts a file of mode 0600 in place, whole and durable.
func writeFile(file string, b []byte) error {
	dir := filepath.Dir(file)
	tmp, err := os.CreateTemp(dir, unfinished)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
