package oauth_test

import (
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

func (g rig) withDevice(id string, grants ...string) {
	g.t.Helper()
	g.must(g.store.AddClient(g.t.Context(), client.Client{
		ID: id, Kind: client.Public, Grants: grants, APIs: map[string][]string{orders: {"orders:read"}}, Version: 1,
	}, revoke.Effects{}))
}

func (g rig) polls(clientID, code string) answer {
	g.t.Helper()
	return g.post("/oauth/token", "", "client_id", clientID, "grant_type", client.DeviceCode, "device_code", code)
}

func TestDeviceGetsTokensWhenAPersonAllowsIt(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.withDevice("tv", client.DeviceCode, client.RefreshToken)
	a := g.post("/oauth/device", "", "client_id", "tv", "scope", "openid orders:read", "resource", orders)
	a.want(t, 200, "")
	if a.text("verification_uri") != issuer+"/device" || a.body["expires_in"] != 600.0 || a.body["interval"] != 5.0 || a.text("verification_uri_complete") != issuer+"/device?user_code="+a.text("user_code") {
		t.Fatalf("got %s", a.Body)
	}
	code := a.text("device_code")
	g.polls("tv", code).want(t, 400, "authorization_pending")
	g.polls("tv", code).want(t, 400, "slow_down")
	s, _, err := g.sessions.Start(t.Context(), session.Login{UserID: ada().ID, AMR: []string{"pwd"}})
	g.must(err)
	_, err = g.grants.ClaimDevice(t.Context(), grant.DeviceClaim{Code: a.text("user_code"), Session: s})
	g.must(err)
	g.must(g.grants.AllowDevice(t.Context(), a.text("user_code"), s))
	got := g.polls("tv", code)
	got.want(t, 200, "")
	if got.text("access_token") == "" || got.text("refresh_token") == "" || got.text("id_token") == "" || got.text("scope") != "openid orders:read" {
		t.Errorf("got %s", got.Body)
	}
	g.polls("tv", code).want(t, 400, "invalid_grant")
	g.post("/oauth/token", "", "client_id", "tv", "grant_type", "refresh_token", "refresh_token", got.text("refresh_token")).want(t, 200, "")
}

// DEVICE-004, DEVICE-006 on the wire.
func TestDeviceEndpointRefusals(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.withDevice("tv", client.DeviceCode)
	g.withDevice("tv2", client.RefreshToken)
	g.post("/oauth/device", "", "client_id", "tv2").want(t, 400, "unauthorized_client")
	g.post("/oauth/device", "").want(t, 401, "invalid_client")
	g.post("/oauth/device", "", "client_id", "nobody").want(t, 401, "invalid_client")
	g.post("/oauth/device", "", "client_id", "tv", "scope", "orders:write").want(t, 400, "invalid_scope")
	g.post("/oauth/device", "", "client_id", "tv", "scope", "users:write", "resource", "management").want(t, 400, "invalid_target")
	g.polls("tv", "").want(t, 400, "invalid_request")
	g.polls("tv", "wdc_x").want(t, 400, "invalid_grant")
	a := g.post("/oauth/device", "", "client_id", "tv")
	a.want(t, 200, "")
	g.polls("tv2", a.text("device_code")).want(t, 400, "unauthorized_client")
	g.forward(11 * time.Minute)
	g.polls("tv", a.text("device_code")).want(t, 400, "expired_token")
	g.post("/oauth/device", "", "client_id", "tv").want(t, 200, "")
}

func TestMetadataOfLogoutAndDevices(t *testing.T) {
	t.Parallel()
	a := newRig(t).get("/.well-known/openid-configuration")
	for name, want := range map[string]any{
		"end_session_endpoint": issuer + "/oauth/logout", "device_authorization_endpoint": issuer + "/oauth/device",
		"frontchannel_logout_supported": true, "frontchannel_logout_session_supported": true,
		"backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
	} {
		if a.body[name] != want {
			t.Errorf("%s is %v, want %v", name, a.body[name], want)
		}
	}
}
