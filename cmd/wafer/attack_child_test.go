package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// child is a server in a process of its own, which can be killed and whose memory
// is its own.
type child struct {
	*running
	cmd *exec.Cmd
	out *lockedBuffer
}

// serveChild starts a server as a process and waits until it is ready.
func serveChild(t *testing.T, data, port string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{running: &running{t: t, url: "http://localhost:" + port, data: data}, out: &lockedBuffer{}}
	all := append([]string{asWafer, "--data", data, "serve", "--listen", "127.0.0.1:" + port, "--log-level", "warn"}, args...)
	c.cmd = exec.CommandContext(t.Context(), self, all...)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	for deadline := time.Now().Add(30 * time.Second); ; {
		res, err := http.Get(c.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return c
			}
		}
		<-time.After(10 * time.Millisecond)
		if time.Now().After(deadline) {
			t.Fatalf("the process is not ready\n%s", c.out)
		}
	}
}

// kill ends the process as a power cut would, and waits until it is gone.
func (c *child) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Errorf("kill: %v", err)
	}
	_ = c.cmd.Wait() // it was killed, and says so
}

// peak is the most memory that the process ever had, in MiB; known is false where
// the system does not tell.
func (c *child) peak() (mib int, known bool) {
	if runtime.GOOS != "linux" {
		return 0, false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/status")
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if rest, ok := strings.CutPrefix(string(line), "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				c.t.Fatal(err)
			}
			return kib >> 10, true
		}
	}
	return 0, false
}
