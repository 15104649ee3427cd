package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Document is what an address answered with status 200.
type Document struct {
	Body   []byte
	Type   string        // the media type alone, in lower case; "" for none
	MaxAge time.Duration // how long it may be kept; 0: it does not say, or forbids it
}

// Fetch gets a document of at most so many bytes. Like Post it goes nowhere that it
// must not reach, and follows no redirect: any status but 200 is an error. Its errors
// hold no query of an address.
func (k *Courier) Fetch(ctx context.Context, from string, bytes int64) (Document, error) {
	if err := k.admit(from); err != nil {
		return Document{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return Document{}, errors.New("the address cannot be fetched from")
	}
	r.Header.Set("User-Agent", "wafer")
	r.Header.Set("Accept", "application/json, application/*+json;q=0.9, */*;q=0.1")
	answer, err := k.client.Do(r)
	if err != nil {
		return Document{}, bare("fetch", err)
	}
	defer func() { _ = answer.Body.Close() }() // nothing more is wanted of it
	if answer.StatusCode != http.StatusOK {
		return Document{}, fmt.Errorf("fetch: status %d", answer.StatusCode)
	}
	// The transport unpacks gzip: what counts is what comes out.
	body, err := io.ReadAll(io.LimitReader(answer.Body, bytes+1))
	if err != nil {
		return Document{}, bare("fetch", err)
	}
	if int64(len(body)) > bytes {
		return Document{}, fmt.Errorf("fetch: more than %d bytes", bytes)
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	return Document{Body: body, Type: kind, MaxAge: maxAge(answer.Header.Values("Cache-Control"))}, nil
}

// maxAge reads max-age of Cache-Control (RFC 9111 section 5.2.2).
func maxAge(lines []string) time.Duration {
	age := time.Duration(0)
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err == nil && n > 0 {
				age = time.Duration(min(n, 7*24*60*60)) * time.Second
			}
		}
	}
	return age
}
