package file

import (
	"context"
	"errors"

	"github.com/wafer-auth/wafer/internal/session"
)

// OpenOn is Open with another disk.
func OpenOn(ctx context.Context, c Config, d OddDisk) (*Home, error) { return open(ctx, c, d) }

// Place is where a session's file is.
func (h *Home) Place(id string) string {
	_, path := h.place(id)
	return path
}

// The form of a file.
var (
	Encode  = encode
	Decode  = decode
	NextUse = func(file []byte, r session.Record) ([]byte, int64, error) { return nextUse(file[:headSize], r) }
)

// HeadSize is how much of a file NextUse needs.
func HeadSize() int { return headSize }

// The things a home does to a disk.
const (
	OpWrite  = "write"
	OpRename = "rename"
	OpPatch  = "patch"
	OpRemove = "remove"
	OpFlush  = "flush folder"
)

// OddDisk is a real disk that asks first. What Ask refuses is not done, but a
// refused write leaves half a file.
type OddDisk struct {
	osDisk
	Ask func(op, path string) error
}

func (d OddDisk) write(path string, data []byte) error {
	if err := d.Ask(OpWrite, path); err != nil {
		return errors.Join(err, d.osDisk.write(path, data[:len(data)/2]))
	}
	return d.osDisk.write(path, data)
}

func (d OddDisk) rename(from, to string) error {
	if err := d.Ask(OpRename, to); err != nil {
		return err
	}
	return d.osDisk.rename(from, to)
}

func (d OddDisk) patch(path string, change func([]byte) ([]byte, int64, error)) error {
	if err := d.Ask(OpPatch, path); err != nil {
		return err
	}
	return d.osDisk.patch(path, change)
}

func (d OddDisk) remove(path string) error {
	if err := d.Ask(OpRemove, path); err != nil {
		return err
	}
	return d.osDisk.remove(path)
}

func (d OddDisk) syncFolder(path string) error {
	if err := d.Ask(OpFlush, path); err != nil {
		return err
	}
	return d.osDisk.syncFolder(path)
}
