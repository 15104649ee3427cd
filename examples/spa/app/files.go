package app

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// mountFiles serves the page and what it loads. Nothing of it is personal: a
// browser may keep it, and asks whether it is still current.
func mountFiles(mux *http.ServeMux) error {
	list, err := static.ReadDir("static")
	if err != nil {
		return err
	}
	for _, one := range list {
		b, err := static.ReadFile("static/" + one.Name())
		if err != nil {
			return err
		}
		place := "/" + one.Name()
		if place == "/index.html" {
			place = "/{$}"
		}
		sum := sha256.Sum256(b)
		tag, kind := `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`, kinds[path.Ext(one.Name())]
		mux.HandleFunc("GET "+place, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Type", kind)
			h.Set("ETag", tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		})
	}
	return nil
}
