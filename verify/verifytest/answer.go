package verifytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/wafer-auth/wafer/verify/jose"
)

func (i *Issuer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+discoveryPath, i.discovery)
	mux.HandleFunc("GET "+jwksPath, i.jwks)
	mux.HandleFunc("POST "+introspectPath, i.introspect)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]any{
		"issuer": i.URL(), "jwks_uri": i.JWKSURL(), "introspection_endpoint": i.URL() + introspectPath,
	})
}

func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	body, err := json.Marshal(i.keys)
	i.mu.Unlock()
	if err != nil {
		http.Error(w, "cannot write the keys", http.StatusInternalServerError)
		return
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "public, max-age=300")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(body)
}

// introspect answers as Wafer does: all that is known of a live credential, and
// nothing but active:false of any other.
func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok || id != clientID || secret != i.secret {
		w.Header().Set("WWW-Authenticate", `Basic realm="verifytest"`)
		http.Error(w, "unknown client", http.StatusUnauthorized)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "unreadable form", http.StatusBadRequest)
		return
	}
	kind, claims, ok := i.lookUp(r.PostForm.Get("token"), r.PostForm.Get("once") == "true")
	if !ok {
		write(w, map[string]any{"active": false})
		return
	}
	answer := maps.Clone(claims)
	answer["active"] = true
	answer["token_type"] = kind
	if api := r.PostForm.Get("api"); api != "" && kind == "session" {
		answer["aud"] = api
	}
	write(w, answer)
}

// lookUp gives what a live credential holds, and revokes a token that is used up.
func (i *Issuer) lookUp(token string, once bool) (kind string, claims map[string]any, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	h, known := i.handles[token]
	if !known && strings.Count(token, ".") == 2 {
		h, known = i.read(token)
	}
	if !known || i.revoked[token] {
		return "", nil, false
	}
	for _, name := range []string{"jti", "sid", "sub"} {
		if s, isText := h.claims[name].(string); isText && i.revoked[s] {
			return "", nil, false
		}
	}
	if exp, err := jose.NumericDate(fmt.Append(nil, h.claims["exp"])); err == nil && !i.now().Before(exp) {
		return "", nil, false
	}
	if jti, isText := h.claims["jti"].(string); once && isText {
		i.revoked[jti] = true
		i.log.add(jti)
	}
	return h.kind, h.claims, true
}

// read checks a JWT against the keys that are still published.
func (i *Issuer) read(token string) (handle, bool) {
	for _, k := range i.keys {
		_, payload, err := jose.Verify(token, k)
		if err != nil {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(payload))
		d.UseNumber() // a date must come back as it was written
		var h handle
		err = d.Decode(&h.claims)
		h.kind = tokenType(h.claims)
		return h, err == nil
	}
	return handle{}, false
}

func write(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body)
}
