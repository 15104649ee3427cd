package wire_test

import (
	"testing"

	"github.com/wafer-auth/wafer/verify/internal/wire"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://id.test": true, "https://id.test:8443/a?b=c": true, "http://localhost": true, "http://127.9.9.9:80": true, "http://[::1]": true,
		"http://id.test": false, "http://10.0.0.1": false, "http://localhost.id.test": false, "http://0.0.0.0": false, "HTTP://id.test": false,
		"https://u@id.test": false, "https://id.test#f": false, "https:///a": false, "https:id.test": false, "id.test": false, "": false, "\x00": false,
		"http://[::ffff:127.0.0.1]": true, "javascript://localhost/": false,
	} {
		if err := wire.CheckURL(url); (err == nil) != good {
			t.Errorf("%q: got %v, want it accepted: %v", url, err, good)
		}
	}
}
