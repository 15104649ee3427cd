package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/alexedwards/scs/v2"
	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
)

// What users of other libraries write before a handler: parse, verify, check issuer
// and audience, for each request. Nothing of it asks whether the token was revoked.

// place is where a token has to be good.
type place struct {
	issuer, audience string
	alg              jose.Algorithm
	keys             verify.KeySet
}

// material keeps public keys as the standard library knows them, by id.
type material struct{ byID sync.Map }

func (m *material) of(k *jose.Key) (any, error) {
	if there, ok := m.byID.Load(k.ID()); ok {
		return there, nil
	}
	b, err := k.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var read gojose.JSONWebKey
	if err := read.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	m.byID.Store(k.ID(), read.Key)
	return read.Key, nil
}

// bearerOf reads a token as they do, and serves next if check gives its scopes.
func bearerOf(check func(r *http.Request, text string) (scope string, err error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, err := check(r, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if !slices.Contains(strings.Fields(scope), "a:read") {
			http.Error(w, "scope", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func golangJWT(at place) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods([]string{string(at.alg)}), jwt.WithIssuer(at.issuer), jwt.WithAudience(at.audience), jwt.WithExpirationRequired())
}

func peerJWT(at place, next http.Handler) http.Handler {
	parser, known, secret := golangJWT(at), &material{}, []byte(os.Getenv("BENCH_SECRET"))
	return bearerOf(func(r *http.Request, text string) (string, error) {
		token, err := parser.ParseWithClaims(text, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
			if at.alg == jose.HS256 {
				return secret, nil
			}
			kid, _ := t.Header["kid"].(string)
			key, err := at.keys.Key(r.Context(), kid, at.alg)
			if err != nil {
				return nil, err
			}
			return known.of(key)
		})
		if err != nil {
			return "", err
		}
		claims, _ := token.Claims.(jwt.MapClaims)
		scope, _ := claims["scope"].(string)
		return scope, nil
	}, next)
}

// jwxOptions are what jwx has to be told besides the key.
func jwxOptions(at place, key jwxjwt.ParseOption) []jwxjwt.ParseOption {
	return []jwxjwt.ParseOption{key, jwxjwt.WithIssuer(at.issuer), jwxjwt.WithAudience(at.audience), jwxjwt.WithRequiredClaim(jwxjwt.ExpirationKey)}
}

func peerJWX(at place, next http.Handler) (http.Handler, error) {
	var key jwxjwt.ParseOption
	if at.alg == jose.HS256 {
		key = jwxjwt.WithKey(jwa.HS256(), []byte(os.Getenv("BENCH_SECRET")))
	} else {
		res, err := http.Get(at.issuer + "/.well-known/jwks.json")
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		set, err := jwk.ParseReader(res.Body)
		if err != nil {
			return nil, fmt.Errorf("jwx: %w", err)
		}
		key = jwxjwt.WithKeySet(set)
	}
	options := jwxOptions(at, key)
	return bearerOf(func(_ *http.Request, text string) (string, error) {
		token, err := jwxjwt.Parse([]byte(text), options...)
		if err != nil {
			return "", err
		}
		var scope string
		return scope, token.Get("scope", &scope)
	}, next), nil
}

// peerSCS keeps sessions in memory of the one process.
func peerSCS(mux *http.ServeMux, next http.Handler) {
	m := scs.New()
	mux.Handle("GET /scs-new", m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "user", "usr_1")
		m.Put(r.Context(), "scope", "a:read")
	})))
	mux.Handle("GET /scs", m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.GetString(r.Context(), "user") == "" || m.GetString(r.Context(), "scope") != "a:read" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})))
}
