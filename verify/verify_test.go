package verify_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	testIssuer = "https://id.test"
	testAPI    = "https://orders.test"
)

type object map[string]any

// goodClaims are those of an access token as Wafer mints it.
func goodClaims(now time.Time) object {
	return object{
		"iss": testIssuer, "aud": testAPI, "sub": "u_01J9ZK3Q8Y", "client_id": "shop-web",
		"jti": "t_5Jm2vXq9LhN0pRk7", "sid": "s_8Qw3eRt6YuIo1pAs", "scope": "orders:read orders:write",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Add(-time.Hour).Unix(),
		"acr": "1", "amr": []string{"pwd", "otp"}, "rsn": 18734,
	}
}

func sign(tb testing.TB, key *jose.Key, claims any) string {
	tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, payload)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}
