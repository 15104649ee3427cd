package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

// Open opens a folder and reads all that is in it. A folder that another home has
// open is ErrLocked. A file that cannot be read is left where it is, named in the
// log, and counts as none.
func Open(ctx context.Context, c Config) (*Home, error) {
	return open(ctx, c, osDisk{})
}

func open(ctx context.Context, c Config, d disk) (_ *Home, err error) {
	if c.Dir == "" {
		return nil, errors.New("no folder for sessions is given")
	}
	c.Dir = filepath.Clean(c.Dir)
	h := &Home{
		Shared: records.NewShared(), dir: c.Dir, disk: d, writing: make(chan struct{}, mostWriting), wanted: map[opaque.Digest]string{},
	}
	if err := secureFolder(c.Dir); err != nil {
		return nil, err
	}
	if h.lock, err = lockFolder(c.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.lock.Close())
		}
	}()
	if err := h.makeFolders(); err != nil {
		return nil, fmt.Errorf("make folders for sessions: %w", err)
	}
	unread, err := h.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	for _, one := range unread {
		h.strange = append(h.strange, one.path)
		if c.Log != nil {
			c.Log.Warn("session file cannot be read: it counts as none", "file", one.path, "err", one.err)
		}
	}
	return h, nil
}

// secureFolder makes a folder that only its owner can look into, or looks at the
// one that is there.
func secureFolder(dir string) error {
	err := os.MkdirAll(filepath.Dir(dir), 0o700)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		err = osDisk{}.syncFolder(filepath.Dir(dir))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder for sessions: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at folder for sessions: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: sessions are kept in a folder of their own", dir)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("folder for sessions %s is open to other users of this machine (mode %04o): run chmod 700 on it", dir, mode)
	}
	return ourFolder(dir)
}

// ourFolder refuses a folder that holds other things: its path is a mistake.
func ourFolder(dir string) error {
	inside, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at folder for sessions: %w", err)
	}
	strange := ""
	for _, f := range inside {
		switch f.Name() {
		case lockName:
			return nil
		case "lost+found": // a disk of its own
		default:
			strange = f.Name()
		}
	}
	if strange != "" {
		return fmt.Errorf("folder for sessions %s holds something else (%s): give sessions a folder of their own", dir, strange)
	}
	return nil
}

// lockName is the file that is locked. A folder with it is ours.
const lockName = "lock"

// lockFolder makes the home the only one in a folder, until what it returns is
// closed or the process ends.
func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder for sessions: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder for sessions %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// makeFolders leaves nothing to be made later, when the disk may be full.
func (h *Home) makeFolders() error {
	for n := range h.folders {
		path := filepath.Join(h.dir, folderName(n))
		h.folders[n].disk, h.folders[n].path = h.disk, path
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := os.Remove(filepath.Join(h.dir, probeName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return h.disk.syncFolder(h.dir)
}

// unread is a file that counts as none.
type unread struct {
	path string
	err  error
}

// load reads every file.
func (h *Home) load(ctx context.Context) (all []unread, err error) {
	var mu sync.Mutex
	err = each(folders, func(n int) error {
		some, err := h.loadFolder(ctx, n)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, some...)
		return err
	})
	return all, err
}

func (h *Home) loadFolder(ctx context.Context, n int) (strange []unread, err error) {
	files, err := os.ReadDir(h.folders[n].path)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		path := filepath.Join(h.folders[n].path, f.Name())
		switch {
		case strings.HasPrefix(f.Name(), "."):
			continue // what file systems leave behind
		case f.Type().IsRegular() && strings.HasSuffix(f.Name(), tmp):
			// A write that was never acknowledged.
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		}
		r, err := h.readRecord(path, f)
		if err == nil {
			err = h.Write(ctx, func(set *records.Set) error {
				if !set.Add(r) {
					return errors.New("another session has its secret")
				}
				return nil
			})
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			strange = append(strange, unread{path, err})
		}
	}
	return strange, nil
}

func (h *Home) readRecord(path string, f fs.DirEntry) (session.Record, error) {
	if !f.Type().IsRegular() {
		return session.Record{}, errors.New("not a regular file")
	}
	data, err := readFile(path)
	if err != nil {
		return session.Record{}, err
	}
	r, err := decode(data)
	if err != nil {
		return session.Record{}, err
	}
	// A file under another name would be a session that cannot be ended.
	if _, right := h.place(r.ID); right != path {
		return session.Record{}, errors.New("its name is that of another session")
	}
	return r, nil
}
