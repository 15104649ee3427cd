package keyring

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/verify/jose"
)

// view is the opened keys as requests see them. It never changes once made.
type view struct {
	opened    map[string]*jose.Key   // by kid, with the private part
	signers   map[string]*jose.Key   // by API id
	verifiers map[string]verifier    // by kid
	published map[string]jose.KeySet // public keys by API id
	body      []byte
	etag      string
}

type verifier struct {
	key   *jose.Key
	apiID string
	from  time.Time // an announced key verifies from here on
}

// build opens what the last view had not opened yet.
func (r *Ring) build(records []Record, last *view) (*view, error) {
	v := &view{opened: map[string]*jose.Key{}, signers: map[string]*jose.Key{}, verifiers: map[string]verifier{}, published: map[string]jose.KeySet{}}
	var published jose.KeySet
	for _, rec := range records {
		if rec.State == Removed {
			continue
		}
		key, err := r.openOnce(rec, last)
		if err != nil {
			return nil, err
		}
		v.opened[rec.ID] = key
		if !rec.Alg.Symmetric() {
			v.published[rec.API] = append(v.published[rec.API], key.Public())
			if rec.API != ForFeed {
				published = append(published, key.Public())
			}
		}
		if rec.State == Active {
			v.signers[rec.API] = key
		}
		if check, ok := r.verifierOf(rec, key); ok {
			v.verifiers[rec.ID] = check
		}
	}
	body, err := json.Marshal(published)
	if err != nil {
		return nil, fmt.Errorf("write key set: %w", err)
	}
	digest := opaque.Hash(string(body))
	v.body, v.etag = body, `"`+base64.RawURLEncoding.EncodeToString(digest[:16])+`"`
	return v, nil
}

// verifierOf says how tokens of a key are checked, if at all. An announced key
// counts once its window is over: another node may have made it active already.
func (r *Ring) verifierOf(rec Record, key *jose.Key) (verifier, bool) {
	v := verifier{key: key, apiID: rec.API}
	if !rec.Alg.Symmetric() {
		v.key = key.Public()
	}
	if rec.State == Announced {
		v.from = r.policy.knownFrom(rec)
		return v, !v.from.IsZero()
	}
	return v, true
}

func (r *Ring) openOnce(rec Record, last *view) (*jose.Key, error) {
	if last != nil && last.opened[rec.ID] != nil {
		return last.opened[rec.ID], nil
	}
	return r.open(rec)
}

func (r *Ring) open(rec Record) (*jose.Key, error) {
	plain, err := r.seal.Open(rec.Sealed, place(rec.ID))
	if err != nil {
		return nil, fmt.Errorf("open key %s: the master key is not the one it was sealed with, or the key was changed: %w", rec.ID, err)
	}
	key, err := jose.ParsePrivate(rec.Alg, rec.ID, plain)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", rec.ID, err)
	}
	return key, nil
}

// place ties a sealed key to its row.
func place(kid string) string { return "key/" + kid }

// newKey makes a new key and its record.
func (r *Ring) newKey(w want, now time.Time) (Record, error) {
	rec := Record{ID: opaque.ID(opaque.KeyID, now), API: w.api, Alg: w.alg, State: w.state, CreatedAt: now}
	if w.state == Active {
		rec.ActiveAt = now
	}
	if w.alg.Symmetric() {
		rec.Sealed = r.seal.Seal([]byte(secretText(w.alg)), place(rec.ID))
		return rec, nil
	}
	key, err := jose.Generate(w.alg, rec.ID)
	if err != nil {
		return Record{}, fmt.Errorf("make key: %w", err)
	}
	private, err := key.MarshalPrivate()
	if err != nil {
		return Record{}, fmt.Errorf("make key: %w", err)
	}
	if rec.Public, err = json.Marshal(key.Public()); err != nil {
		return Record{}, fmt.Errorf("make key: %w", err)
	}
	rec.Sealed = r.seal.Seal(private, place(rec.ID))
	return rec, nil
}

// secretText makes an HMAC secret that a person can carry. The key is its ASCII
// bytes, as libraries that take a string expect; it has as many random bits as
// the hash (RFC 7518 section 3.2).
func secretText(alg jose.Algorithm) string {
	switch alg {
	case jose.HS384:
		return opaque.Text(48)
	case jose.HS512:
		return opaque.Text(64)
	}
	return opaque.Text(32)
}
