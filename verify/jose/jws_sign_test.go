package jose_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/wafer-auth/wafer/verify/jose"
)

// A key remembers the header it signed last; another type, content type or id must
// not get it.
func TestRememberedHeaderIsTheRightOne(t *testing.T) {
	t.Parallel()
	k, err := jose.Generate(jose.EdDSA, "a")
	if err != nil {
		t.Fatal(err)
	}
	other := k.WithID("b")
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			h := jose.Header{Type: strings.Repeat("t", i%4), ContentType: strings.Repeat("c", i%3)}
			key, id := k, "a"
			if i%2 == 1 {
				key, id = other, "b"
			}
			for range 50 {
				text, err := jose.Sign(key, h, []byte("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				got, _, err := jose.Verify(text, k)
				if err != nil || got.Type != h.Type || got.ContentType != h.ContentType || got.KeyID != id || got.Algorithm != jose.EdDSA {
					t.Errorf("signed %+v as %s, read %+v, %v", h, id, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
