package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/wafer-auth/wafer/verify/jose"
)

// claims are what an access token of Wafer holds.
func claims() []byte {
	b, err := json.Marshal(map[string]any{
		"iss": "https://id.example.com", "sub": "usr_01jc9w2m4k0000000000000000", "aud": "https://orders.example",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "jti": "tok_01jc9w2m4k0000000000000000", "client_id": "shop-web",
		"scope": "orders:read orders:write", "sid": "ses_01jc9w2m4k0000000000000000", "rsn": 1234, "amr": []string{"pwd"},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// raw is the bare cryptography of an algorithm.
type raw struct {
	material any
	sign     func(input []byte) ([]byte, error)
	verify   func(input, sig []byte) bool
}

func joseSuites() []suite {
	var all []suite
	for _, alg := range jose.Algorithms() {
		if alg == jose.Ed25519 {
			continue // the same work as EdDSA under another name
		}
		all = append(all,
			suite{"jose sign " + string(alg), func(report func(figure)) error { return signRow(alg, report) }},
			suite{"jose verify " + string(alg), func(report func(figure)) error { return verifyRow(alg, report) }})
	}
	return all
}

func signRow(alg jose.Algorithm, report func(figure)) error {
	r, err := newRaw(alg)
	if err != nil {
		return err
	}
	key, err := jose.NewKey(alg, "bench-key", r.material)
	if err != nil {
		return err
	}
	body := claims()
	input := []byte(jose.EncodeSegment([]byte(`{"alg":"`+string(alg)+`","kid":"bench-key","typ":"at+jwt"}`)) + "." + jose.EncodeSegment(body))
	signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.SignatureAlgorithm(alg), Key: r.material},
		(&gojose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "bench-key"))
	if err != nil {
		return err
	}
	var parsed jwt.MapClaims
	if err := json.Unmarshal(body, &parsed); err != nil {
		return err
	}
	ns, err := race([]contender{
		{"raw", func() error { _, err := r.sign(input); return err }},
		{"wafer", func() error { _, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, body); return err }},
		{"go-jose", func() error {
			o, err := signer.Sign(body)
			if err != nil {
				return err
			}
			_, err = o.CompactSerialize()
			return err
		}},
		{"golang-jwt", func() error {
			t := jwt.NewWithClaims(jwt.GetSigningMethod(string(alg)), parsed)
			t.Header["kid"], t.Header["typ"] = "bench-key", "at+jwt"
			_, err := t.SignedString(r.material)
			return err
		}},
	})
	if err != nil {
		return err
	}
	rows(rowName("sign", string(alg)), ns, report)
	return nil
}

func rows(name string, ns map[string]float64, report func(figure)) {
	report(figure{name + ", raw crypto", ns["raw"] / 1000, "us CPU", "", rounds})
	for _, who := range []string{"wafer", "go-jose", "golang-jwt"} {
		report(figure{name + ", " + who, ns[who] / 1000, "us CPU", "", rounds})
		report(figure{name + ", " + who, ns[who] / ns["raw"], "x raw crypto", "raw crypto", rounds})
	}
}

func verifyRow(alg jose.Algorithm, report func(figure)) error {
	r, err := newRaw(alg)
	if err != nil {
		return err
	}
	key, err := jose.NewKey(alg, "bench-key", r.material)
	if err != nil {
		return err
	}
	text, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, claims())
	if err != nil {
		return err
	}
	input, sig, err := split(text)
	if err != nil {
		return err
	}
	public := publicOf(r.material)
	checker := key
	if p := key.Public(); p != nil {
		checker = p
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{string(alg)}), jwt.WithStrictDecoding())
	ns, err := race([]contender{
		{"raw", func() error { return truth(r.verify(input, sig)) }},
		{"wafer", func() error { _, _, err := jose.Verify(text, checker); return err }},
		{"go-jose", func() error {
			o, err := gojose.ParseSignedCompact(text, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
			if err != nil {
				return err
			}
			_, err = o.Verify(public)
			return err
		}},
		{"golang-jwt", func() error {
			_, err := parser.ParseWithClaims(text, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return public, nil })
			return err
		}},
	})
	if err != nil {
		return err
	}
	rows(rowName("verify", string(alg)), ns, report)
	return nil
}

func truth(ok bool) error {
	if !ok {
		return errors.New("signature does not verify")
	}
	return nil
}

func split(text string) (input, sig []byte, err error) {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '.' {
			sig, err = jose.DecodeSegment(text[i+1:])
			return []byte(text[:i]), sig, err
		}
	}
	return nil, nil, errors.New("no dot in token")
}

func publicOf(material any) any {
	if s, ok := material.(crypto.Signer); ok {
		return s.Public()
	}
	return material
}

func newRaw(alg jose.Algorithm) (raw, error) {
	h := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[string(alg[len(alg)-3:])]
	switch alg[:2] {
	case "HS":
		return rawHMAC(h), nil
	case "RS", "PS":
		return rawRSA(h, alg[0] == 'P')
	case "ES":
		return rawECDSA(h)
	case "Ed":
		_, key, err := ed25519.GenerateKey(nil)
		return raw{material: key,
			sign:   func(in []byte) ([]byte, error) { return ed25519.Sign(key, in), nil },
			verify: func(in, sig []byte) bool { return ed25519.Verify(key.Public().(ed25519.PublicKey), in, sig) },
		}, err
	}
	return raw{}, fmt.Errorf("no raw cryptography for %s", alg)
}

func rawHMAC(h crypto.Hash) raw {
	key := make([]byte, h.Size())
	rand.Read(key)
	newHash := map[crypto.Hash]func() hash.Hash{crypto.SHA256: sha256.New, crypto.SHA384: sha512.New384, crypto.SHA512: sha512.New}[h]
	mac := func(in []byte) []byte {
		m := hmac.New(newHash, key)
		m.Write(in)
		return m.Sum(nil)
	}
	return raw{material: key,
		sign:   func(in []byte) ([]byte, error) { return mac(in), nil },
		verify: func(in, sig []byte) bool { return hmac.Equal(mac(in), sig) },
	}
}

func digest(h crypto.Hash, in []byte) []byte {
	w := h.New()
	w.Write(in)
	return w.Sum(nil)
}

func rawRSA(h crypto.Hash, pss bool) (raw, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	if pss {
		return raw{material: key,
			sign:   func(in []byte) ([]byte, error) { return rsa.SignPSS(rand.Reader, key, h, digest(h, in), opts) },
			verify: func(in, sig []byte) bool { return rsa.VerifyPSS(&key.PublicKey, h, digest(h, in), sig, opts) == nil },
		}, err
	}
	return raw{material: key,
		sign:   func(in []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, key, h, digest(h, in)) },
		verify: func(in, sig []byte) bool { return rsa.VerifyPKCS1v15(&key.PublicKey, h, digest(h, in), sig) == nil },
	}, err
}

func rawECDSA(h crypto.Hash) (raw, error) {
	curve := map[crypto.Hash]elliptic.Curve{crypto.SHA256: elliptic.P256(), crypto.SHA384: elliptic.P384(), crypto.SHA512: elliptic.P521()}[h]
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return raw{material: key,
		sign: func(in []byte) ([]byte, error) {
			r, s, err := ecdsa.Sign(rand.Reader, key, digest(h, in))
			if err != nil {
				return nil, err
			}
			return append(r.Bytes(), s.Bytes()...), nil
		},
		verify: func(in, sig []byte) bool {
			n := len(sig) / 2
			return ecdsa.Verify(&key.PublicKey, digest(h, in), new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:]))
		},
	}, err
}
