package sqlstore

import (
	"errors"
	"net"
	"syscall"
)

// quiet reports whether an idle connection has nothing to tell. A server says
// something unasked when it goes, and then it closes the connection.
func quiet(l link) bool {
	c := pgxOf(l).PgConn().Conn()
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	socket, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	// Control, not Read: the driver may have a reader of its own waiting on an idle
	// connection, since a slow write, and Read would wait for that one for ever.
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
	})
	return silent && err == nil
}
