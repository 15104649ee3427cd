package verify_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/verifytest"
)

func TestTokenGivesTheIdentity(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	for _, alg := range jose.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			key, err := jose.Generate(alg, "key-1")
			if err != nil {
				t.Fatal(err)
			}
			claims := goodClaims(now)
			claims["grant_id"] = "g_1"
			claims["https://orders.test/region"] = object{"name": "north"}
			id, err := newVerifier(t, key).Token(t.Context(), sign(t, key, claims))
			if err != nil {
				t.Fatal(err)
			}
			want := verify.Identity{
				Kind: verify.Token, Subject: "u_01J9ZK3Q8Y", SessionID: "s_8Qw3eRt6YuIo1pAs", ClientID: "shop-web", Issuer: testIssuer,
				Audience: []string{testAPI}, Scopes: []string{"orders:read", "orders:write"}, TokenID: "t_5Jm2vXq9LhN0pRk7", GrantID: "g_1",
				IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute), AuthTime: now.Add(-time.Hour), ACR: "1", AMR: []string{"pwd", "otp"}, RSN: 18734,
			}
			if got := public(id); !reflect.DeepEqual(got, public(&want)) {
				t.Errorf("got  %+v\nwant %+v", got, public(&want))
			}
			if !id.HasScope("orders:write") || id.HasScope("orders") || id.HasScope("") {
				t.Error("HasScope is not exact")
			}
			raw, ok := id.Claim("https://orders.test/region")
			if !ok || string(raw) != `{"name":"north"}` {
				t.Errorf("Claim: got %s, %v", raw, ok)
			}
			clear(raw)
			if raw, _ := id.Claim("https://orders.test/region"); string(raw) != `{"name":"north"}` {
				t.Error("Claim hands out bytes of the identity itself")
			}
			if _, ok := id.Claim("absent"); ok {
				t.Error("Claim found what is not there")
			}
		})
	}
}

// public gives the exported fields, for comparison.
func public(id *verify.Identity) map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(*id)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			value := v.Field(i).Interface()
			if when, ok := value.(time.Time); ok {
				value = when.Unix()
			}
			fields[f.Name] = value
		}
	}
	return fields
}

func TestReasonOfEachRefusal(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.EdDSA, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := jose.Generate(jose.EdDSA, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := jose.Generate(jose.ES256, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	v, now := newVerifier(t, key), time.Now()
	with := func(name string, value any) string {
		claims := goodClaims(now)
		claims[name] = value
		return sign(t, key, claims)
	}
	idToken, err := jose.Sign(key, jose.Header{Type: "JWT"}, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, key, goodClaims(now))
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"empty", "", verify.ErrNoCredential},
		{"large", strings.Repeat("a", 8<<10+1), verify.ErrTooLarge},
		{"one segment", "abc", verify.ErrMalformed},
		{"critical", jose.EncodeSegment([]byte(`{"alg":"EdDSA","typ":"at+jwt","crit":["x"],"x":1}`)) + ".e30.AA", verify.ErrCritical},
		{"none", jose.EncodeSegment([]byte(`{"alg":"none","typ":"at+jwt"}`)) + ".e30.AA", verify.ErrAlgorithm},
		{"ID token", idToken, verify.ErrType},
		{"algorithm", sign(t, other, goodClaims(now)), verify.ErrAlgorithm},
		{"kid", sign(t, key.WithID("key-2"), goodClaims(now)), verify.ErrKeyUnknown},
		{"signature", sign(t, stranger, goodClaims(now)), verify.ErrSignature},
		{"claims no object", signRaw(t, key, `[]`), verify.ErrMalformed},
		{"issuer", with("iss", "https://evil.test"), verify.ErrIssuer},
		{"audience", with("aud", "https://other.test"), verify.ErrAudience},
		{"expired", with("exp", now.Add(-time.Minute).Unix()), verify.ErrExpired},
		{"not yet", with("nbf", now.Add(time.Minute).Unix()), verify.ErrNotYet},
		{"lifetime", with("exp", now.Add(48*time.Hour).Unix()), verify.ErrLifetime},
		{"claims", with("sub", 7), verify.ErrClaims},
		{"binding", with("cnf", object{"jkt": "x"}), verify.ErrBinding},
		{"encrypted", "e30.e30.e30.e30.e30", verify.ErrEncryption},
	} {
		for _, step := range []struct {
			token string
			want  error
		}{{good, nil}, {tt.token, tt.want}, {good, nil}} {
			id, err := v.Token(t.Context(), step.token)
			if !errors.Is(err, step.want) || (id == nil) != (step.want != nil) {
				t.Errorf("%s: got %+v, %v, want error %v", tt.name, id, err, step.want)
			}
			if got := matches(err); step.want != nil && got != 1 {
				t.Errorf("%s: the error matches %d sentinels, want one", tt.name, got)
			}
		}
	}
	if _, err := v.Session(t.Context(), "abc"); !errors.Is(err, verify.ErrType) {
		t.Errorf("session without server: got %v, want ErrType", err)
	}
	if _, err := v.Session(t.Context(), ""); !errors.Is(err, verify.ErrNoCredential) {
		t.Errorf("empty session: got %v, want ErrNoCredential", err)
	}
}

func matches(err error) (n int) {
	for _, s := range sentinels {
		if errors.Is(err, s) {
			n++
		}
	}
	return n
}

func signRaw(tb testing.TB, key *jose.Key, payload string) string {
	tb.Helper()
	token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// A token that will be refused anyway must not make the verifier look for keys.
func TestCheapRefusalsAskForNoKey(t *testing.T) {
	t.Parallel()
	key, err := jose.Generate(jose.EdDSA, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	keys := &countingKeys{KeySet: verify.StaticKeys(key)}
	v, err := verify.New(verify.Config{
		Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.EdDSA}, Keys: keys, Stale: verify.Open,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"iss": "x", "aud": "x", "exp": 1} {
		claims := goodClaims(time.Now())
		claims[name] = value
		if _, err := v.Token(t.Context(), sign(t, key, claims)); err == nil || keys.asked != 0 {
			t.Errorf("%s: got %v after %d questions for keys", name, err, keys.asked)
		}
	}
	if _, err := v.Token(t.Context(), sign(t, key, goodClaims(time.Now()))); err != nil || keys.asked != 1 {
		t.Errorf("good: got %v after %d questions for keys, want one", err, keys.asked)
	}
}

type countingKeys struct {
	verify.KeySet
	asked int
}

func (k *countingKeys) Key(ctx ctx, kid string, alg jose.Algorithm) (*jose.Key, error) {
	k.asked++
	return k.KeySet.Key(ctx, kid, alg)
}

// A key set that hands out the wrong key must not decide the algorithm.
func TestAttackKeySetWithTheWrongKey(t *testing.T) {
	t.Parallel()
	secret, err := jose.Generate(jose.HS256, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.Generate(jose.EdDSA, "key-1")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk on fire")
	for _, tt := range []struct {
		name string
		give func() (*jose.Key, error)
		want error
	}{
		{"right key", func() (*jose.Key, error) { return key, nil }, nil},
		{"other algorithm", func() (*jose.Key, error) { return secret, nil }, verify.ErrKeyUnknown},
		{"nil", func() (*jose.Key, error) { return nil, nil }, verify.ErrKeyUnknown},
		{"own failure", func() (*jose.Key, error) { return nil, broken }, verify.ErrUnavailable},
		{"right key again", func() (*jose.Key, error) { return key, nil }, nil},
	} {
		v, err := verify.New(verify.Config{
			Issuer: testIssuer, Audience: testAPI, Algorithms: []jose.Algorithm{jose.EdDSA, jose.HS256}, Keys: keyFunc(tt.give), Stale: verify.Open,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Token(t.Context(), sign(t, key, goodClaims(time.Now()))); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

type keyFunc func() (*jose.Key, error)

func (f keyFunc) Key(ctx, string, jose.Algorithm) (*jose.Key, error) { return f() }

func TestStaticKeys(t *testing.T) {
	t.Parallel()
	a, err := jose.Generate(jose.EdDSA, "a")
	if err != nil {
		t.Fatal(err)
	}
	keys := verify.StaticKeys(nil, a, a.WithID("b"))
	for _, tt := range []struct {
		kid  string
		alg  jose.Algorithm
		want error
	}{
		{"a", jose.EdDSA, nil}, {"b", jose.Ed25519, nil}, {"c", jose.EdDSA, verify.ErrKeyUnknown},
		{"", jose.EdDSA, verify.ErrKeyUnknown}, {"a", jose.ES256, verify.ErrKeyUnknown},
	} {
		if _, err := keys.Key(t.Context(), tt.kid, tt.alg); !errors.Is(err, tt.want) {
			t.Errorf("%q %s: got %v, want %v", tt.kid, tt.alg, err, tt.want)
		}
	}
}

func TestConcurrentVerification(t *testing.T) {
	t.Parallel()
	issuer := verifytest.NewIssuer(t)
	c := issuer.Config()
	c.Stale = verify.Open
	v, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			token := issuer.Token(verifytest.Scope("a", "b"))
			for range 20 {
				if i == 7 {
					issuer.Rotate()
				}
				id, err := v.Token(t.Context(), token)
				if err != nil || !id.HasScope("b") {
					t.Errorf("got %+v, %v", id, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func FuzzToken(f *testing.F) {
	key, err := jose.Generate(jose.HS256, "key-1")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	v := newVerifier(f, key)
	f.Add(`{"sub":"x"}`)
	f.Add(`{"aud":["https://orders.test","b"],"amr":["a,","]"],"scope":"a b"}`)
	f.Add(`{"iss":"https:\/\/id.test","exp":1e10,"iat":0.5}`)
	f.Fuzz(func(t *testing.T, payload string) {
		if payload == "" {
			return
		}
		id, err := v.Token(t.Context(), signRaw(t, key, payload))
		if err == nil {
			if id.Issuer != testIssuer || id.Subject == "" || !id.ExpiresAt.After(now.Add(-time.Minute)) {
				t.Errorf("accepted %s as %+v", payload, id)
			}
			return
		}
		if matches(err) != 1 {
			t.Errorf("%s: the error matches %d sentinels: %v", payload, matches(err), err)
		}
	})
}
