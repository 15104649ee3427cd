package pgtest

import (
	"errors"
	"os/exec"
	"syscall"
)

// afterwards waits for its input to end, then ends the server in the folder $1 and
// removes it. A folder that is gone already ends it at once.
const afterwards = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -CONT "$pid" && kill -QUIT "$pid"
for i in 1 2 3 4 5 6 7 8 9 10; do
	[ -e "$1/data/postmaster.pid" ] || break
	sleep 1
done
rm -rf "$1"`

// watch starts a process that cleans up when ours ends without doing so: when its
// time is up, when it panics, when it is killed. What it is given hangs open as
// long as we live.
func (s *Server) watch() error {
	cmd := exec.Command("sh", "-c", afterwards, "sh", s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for us, not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, in.Close())
	}
	s.watcher, s.alive = cmd, in
	return nil
}

// unwatch ends the process that watches.
func (s *Server) unwatch() error {
	if s.watcher == nil {
		return nil
	}
	return errors.Join(s.alive.Close(), s.watcher.Wait())
}
