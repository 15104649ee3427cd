package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/records"
)

var _ session.Home = (*Home)(nil)

var (
	// ErrLocked means that another home has the folder open, in this process or
	// in another one.
	ErrLocked = errors.New("another process keeps sessions in the folder")
	// ErrBroken means that the disk failed so that nobody knows what is on it.
	// Nothing is written any more until the folder is opened again; sessions are
	// still read.
	ErrBroken = errors.New("an earlier flush failed: restart once the disk is well")
)

// Config says where sessions are kept.
type Config struct {
	// Dir is the folder. It is made when it is not there. One that others than
	// its owner can look into is refused.
	Dir string
	// Log is told of files that cannot be read. Nil for none.
	Log *slog.Logger
}

// Home keeps sessions as files. Make one with Open.
type Home struct {
	*records.Shared // what is on the disk; everything is read from it

	dir     string
	disk    disk
	lock    *os.File
	folders [folders]flusher
	strange []string // names of files that could not be read at Open

	life    sync.RWMutex // held by what writes; Close waits for it
	closed  bool
	broken  atomic.Pointer[error]
	turns   turns
	writing chan struct{}            // bounds how many files are flushed at once
	wanted  map[opaque.Digest]string // secrets of records being written -> their ids; guarded by Shared
	probe   sync.Mutex
}

// mostWriting is how many files are flushed at once: each takes a thread.
const mostWriting = 64

// folders is how many folders the files are spread over: enough for names to be
// made at the same time, and few enough to share flushes. It is part of the
// format: one hexadecimal digit.
const folders = 16

func folderName(n int) string { return fmt.Sprintf("%x", n) }

// place is the folder and the path of a session's file. An id never becomes a
// name: it may be "..", or differ from another in case only.
func (h *Home) place(id string) (folder int, path string) {
	sum := sha256.Sum256([]byte(id))
	name := hex.EncodeToString(sum[:])
	return int(sum[0] >> 4), filepath.Join(h.dir, name[:1], name)
}

// begin is the start of whatever writes; end is called after it.
func (h *Home) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.life.RLock()
	if h.closed {
		h.life.RUnlock()
		return nil, records.ErrClosed
	}
	if broken := h.broken.Load(); broken != nil {
		h.life.RUnlock()
		return nil, unavailable(*broken)
	}
	return h.life.RUnlock, nil
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "The server cannot write to its storage.")
}

// breaks ends all writing: what was written may be on the disk, or not.
func (h *Home) breaks(err error) error {
	err = errors.Join(ErrBroken, err)
	h.broken.CompareAndSwap(nil, &err)
	return unavailable(err)
}

// probeName is written to find out whether the disk takes anything.
const probeName = "probe.tmp"

// Ping implements session.Home. It writes a small file and removes it.
func (h *Home) Ping(ctx context.Context) error {
	end, err := h.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	h.probe.Lock()
	defer h.probe.Unlock()
	path := filepath.Join(h.dir, probeName)
	err = h.disk.write(path, []byte("wafer\n"))
	if gone := h.disk.remove(path); err == nil {
		err = gone
	}
	if err != nil {
		return unavailable(fmt.Errorf("try the folder of sessions: %w", err))
	}
	return nil
}

// Risks implements session.Home.
func (h *Home) Risks(ctx context.Context) ([]string, error) {
	if err := h.Read(ctx, func(*records.Set) {}); err != nil {
		return nil, err
	}
	if len(h.strange) == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("%d session files could not be read at start, such as %s: whoever they belong to must sign in again.",
		len(h.strange), h.strange[0])}, nil
}

// Close implements session.Home.
func (h *Home) Close() error {
	h.life.Lock()
	defer h.life.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.Shut()
	return h.lock.Close()
}
