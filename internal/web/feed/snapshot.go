package feed

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/internal/feed"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// snapshot answers with all that is kept, at some position that is not below the
// parameter least. Where exactly, Content-Location tells.
func (s *Surface) snapshot(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(w, r)
	if err != nil {
		return err
	}
	least, err := position(r.URL.Query().Get("least"), "least")
	if err != nil {
		return err
	}
	shot, err := s.Source.SnapshotAt(r.Context(), ticket, least)
	if err != nil {
		return challenge(w, err)
	}
	h := w.Header()
	h.Set("Content-Location", "/feed/snapshot/"+strconv.FormatInt(shot.At.Epoch, 10)+"/"+strconv.FormatInt(shot.At.Seq, 10))
	return s.give(w, r, shot)
}

// exactly answers with the snapshot of one position, which never changes.
func (s *Surface) exactly(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(w, r)
	if err != nil {
		return err
	}
	at, err := position(r.PathValue("epoch")+":"+r.PathValue("seq"), "The path")
	if err != nil {
		return err
	}
	shot, err := s.Source.SnapshotOf(r.Context(), ticket, at)
	if err != nil {
		return challenge(w, err)
	}
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
	if known := r.Header.Get("If-None-Match"); known == tag(shot.At, "") || known == tag(shot.At, zip) {
		w.Header().Set("ETag", known)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return s.give(w, r, shot)
}

// zip marks the tag of a compressed snapshot: it is another representation (RFC
// 9110 section 8.8.3).
const zip = "-gzip"

func tag(at revocation.Position, suffix string) string { return `"` + at.String() + suffix + `"` }

// give writes a snapshot, compressed for who accepts that.
func (s *Surface) give(w http.ResponseWriter, r *http.Request, shot feed.Shot) error {
	h := w.Header()
	h.Set("ETag", tag(shot.At, ""))
	h.Set("Content-Type", "application/octet-stream")
	h.Add("Vary", "Accept-Encoding")
	body := shot.Body
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		var err error
		if body, err = s.compress(shot); err != nil {
			return err
		}
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", tag(shot.At, zip))
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the caller may have left
	return nil
}

// zipped is a snapshot and what became of it.
type zipped struct {
	from []byte
	body []byte
}

// compress keeps the last result: many verifiers start at once.
func (s *Surface) compress(shot feed.Shot) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(shot.Body) == len(s.zipped.from) && (len(shot.Body) == 0 || &shot.Body[0] == &s.zipped.from[0]) {
		return s.zipped.body, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(shot.Body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	s.zipped = zipped{from: shot.Body, body: b.Bytes()}
	return b.Bytes(), nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3). What it does not
// understand is a no.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, given := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		value, err := strconv.ParseFloat(q, 64)
		return !given && weight == "" || given && err == nil && value > 0
	}
	return false
}
