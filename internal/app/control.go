package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// The control socket is how the command line speaks to a running server: the
// management API over a Unix socket that only the owner of the data folder can
// open. Whoever can open it can read the database anyway.
const controlName = "wafer.sock"

// maxSocketPath is what every Unix accepts as the path of a socket.
const maxSocketPath = 100

// listenControl opens the socket. A path that is too long for a socket is
// replaced by one in a private temporary folder. The note beside says where it is.
func (d *dataDir) listenControl(issuer string) (net.Listener, func(), error) {
	path, cleanup := d.file(controlName), func() {}
	if len(path) > maxSocketPath {
		dir, err := os.MkdirTemp("", "wafer-")
		if err != nil {
			return nil, nil, fmt.Errorf("control socket: %w", err)
		}
		path = filepath.Join(dir, controlName)
		cleanup = func() { os.RemoveAll(dir) }
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("control socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, nil, fmt.Errorf("control socket: %w", err)
	}
	b, err := json.Marshal(note{Socket: path, Issuer: issuer})
	if err := errors.Join(err, os.Chmod(path, 0o600), os.WriteFile(d.file(noteName), b, 0o600)); err != nil {
		ln.Close()
		return nil, nil, fmt.Errorf("control socket: %w", err)
	}
	return ln, cleanup, nil
}

// note tells the command line about the server that ran last on a data folder.
type note struct {
	Socket string `json:"socket"`
	Issuer string `json:"issuer"`
}

const noteName = "wafer.json"

func readNote(data string) (note, bool) {
	var n note
	b, err := os.ReadFile(filepath.Join(data, noteName))
	if err != nil || json.Unmarshal(b, &n) != nil {
		return note{}, false
	}
	return n, true
}

// LastIssuer returns the issuer that was served last from a data folder, "" when
// none ever was.
func LastIssuer(data string) string {
	n, _ := readNote(data)
	return n.Issuer
}

// Dial returns a transport to the server that runs on a data folder. running is
// false when none does.
func Dial(data string) (rt http.RoundTripper, running bool) {
	n, ok := readNote(data)
	if !ok {
		return nil, false
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", n.Socket)
	}
	conn, err := dial(context.Background(), "", "")
	if err != nil {
		return nil, false
	}
	conn.Close()
	return &http.Transport{DialContext: dial}, true
}
