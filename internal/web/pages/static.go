package pages

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
)

//go:embed static
var staticFiles embed.FS

var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is a static file. Its address holds a digest of its bytes, so that a
// browser may keep it for good and still sees the next release.
type asset struct {
	file, mediaType, etag string
	body                  []byte
}

func readAssets() (map[string]asset, error) {
	all := map[string]asset{}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		digest := fmt.Sprintf("%x", sha256.Sum256(body))[:16]
		ext := path.Ext(name)
		if mediaTypes[ext] == "" {
			return fmt.Errorf("static file %s has no media type", name)
		}
		base := strings.TrimSuffix(path.Base(name), ext)
		all[path.Base(name)] = asset{file: base + "-" + digest + ext, mediaType: mediaTypes[ext], etag: `"` + digest + `"`, body: body}
		return nil
	})
	return all, err
}

// assetPath returns the address of a static file, for templates.
func (p *Pages) assetPath(name string) (string, error) {
	a, ok := p.assets[name]
	if !ok {
		return "", fmt.Errorf("no static file %s", name)
	}
	return "/static/" + a.file, nil
}

func (p *Pages) static(w http.ResponseWriter, v *visit) error {
	for _, a := range p.assets {
		if a.file != v.PathValue("file") {
			continue
		}
		h := w.Header()
		h.Del("Vary")
		h.Set("Content-Type", a.mediaType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("ETag", a.etag)
		if strings.Contains(v.Header.Get("If-None-Match"), a.etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body) // the caller may have left
		return nil
	}
	return fault.New(fault.NotFound, languages[0].text("problem.nothing"))
}
