package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// disk is what the home does to files. Tests put a broken one in its place.
type disk interface {
	// write makes a file for its owner alone, or empties one, fills it and
	// flushes it.
	write(path string, data []byte) error
	rename(from, to string) error
	// patch shows the first bytes of a file and writes over some of them,
	// without a flush.
	patch(path string, change func(head []byte) (data []byte, at int64, err error)) error
	remove(path string) error
	// syncFolder makes the names in a folder durable.
	syncFolder(path string) error
}

type osDisk struct{}

func (osDisk) write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) patch(path string, change func([]byte) ([]byte, int64, error)) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	head := make([]byte, headSize)
	_, err = f.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = errNoPlace
	}
	if err == nil {
		var data []byte
		var at int64
		if data, at, err = change(head); err == nil {
			_, err = f.WriteAt(data, at)
		}
	}
	return errors.Join(err, f.Close())
}

func (osDisk) remove(path string) error { return os.Remove(path) }

func (osDisk) syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readFile reads a file that is not longer than it may be.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return data, errors.Join(err, f.Close())
}

// A flusher flushes one folder for all who wait: whoever comes while a flush runs
// shares the next one.
type flusher struct {
	disk disk
	path string

	mu   sync.Mutex
	next *flush // nil when nobody waits for one to begin
	turn sync.Mutex
}

type flush struct {
	over chan struct{}
	err  error
}

// flush returns once a flush that began after the call is over.
func (f *flusher) flush() error {
	f.mu.Lock()
	mine := f.next
	if mine != nil {
		f.mu.Unlock()
		<-mine.over
		return mine.err
	}
	mine = &flush{over: make(chan struct{})}
	f.next = mine
	f.mu.Unlock()

	f.turn.Lock()
	defer f.turn.Unlock()
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	if mine.err = f.disk.syncFolder(f.path); mine.err != nil {
		mine.err = fmt.Errorf("flush folder: %w", mine.err)
	}
	close(mine.over)
	return mine.err
}
