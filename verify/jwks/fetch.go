package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	maxDocument  = 256 << 10
	maxRedirects = 3
	maxETag      = 256
	minAge       = 30 * time.Second
	defaultAge   = 5 * time.Minute
	maxAge       = time.Hour
)

var errBackingOff = errors.New("the last attempt failed a moment ago")

// fetch asks for the document. old, when not nil, is what is asked to be confirmed.
func (s *Set) fetch(ctx context.Context, old *snapshot) (*snapshot, error) {
	began := s.now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if old != nil && old.etag != "" {
		req.Header.Set("If-None-Match", old.etag)
	}
	res, body, err := get(s.client, req)
	if err != nil {
		return nil, err
	}
	limit := ageOf(res.Header)
	if res.StatusCode == http.StatusNotModified && old != nil && old.etag != "" {
		return old.at(began, limit, rand.Float64()), nil
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	keys, err := jose.ParseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	next := newSnapshot(keys, old).at(began, limit, rand.Float64())
	next.document = DocumentVersion(body)
	if etag := res.Header.Get("ETag"); len(etag) <= maxETag {
		next.etag = etag
	}
	return next, nil
}

// get reads at most maxDocument bytes.
func get(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxDocument {
		return nil, nil, fmt.Errorf("document is longer than %d bytes", maxDocument)
	}
	return res, body, nil
}

// fetchingClient copies the caller's client and lets it follow redirects only
// where the trust already lies: same scheme, same host, same port.
func fetchingClient(given *http.Client) *http.Client {
	var client http.Client
	if given != nil {
		client = *given
	}
	client.Jar = nil
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
			return errors.New("redirect to another host refused")
		}
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}
	return &client
}

// ageOf reads max-age and keeps it within what is kind to the server and safe for us.
func ageOf(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			break
		}
		return min(max(time.Duration(seconds)*time.Second, minAge), maxAge)
	}
	return defaultAge
}
