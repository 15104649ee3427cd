package manage_test

import "testing"

func TestLogoutAddressesAreShownAndChanged(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	c := g.robot("robot", "clients:read", "clients:write")
	a := c.send("POST", "/clients", object{
		"id": "shop", "kind": "public", "backchannel_logout_uri": "https://shop.example/logout", "backchannel_logout_session_required": true,
	}).want(t, 201)
	if a.text("backchannel_logout_uri") != "https://shop.example/logout" || a.body["backchannel_logout_session_required"] != true {
		t.Errorf("got %s", a.Body)
	}
	c.send("PATCH", "/clients/shop", object{"backchannel_logout_uri": "http://shop.example/"}).want(t, 400)
	b := c.send("PATCH", "/clients/shop", object{"backchannel_logout_uri": "https://shop.example/out"}).want(t, 200)
	if b.text("backchannel_logout_uri") != "https://shop.example/out" || b.body["backchannel_logout_session_required"] != true {
		t.Errorf("got %s", b.Body)
	}
	c.send("PATCH", "/clients/shop", object{"backchannel_logout_uri": "", "backchannel_logout_session_required": false}).want(t, 200)
	d := c.send("GET", "/clients/shop", nil).want(t, 200)
	if _, there := d.body["backchannel_logout_uri"]; there {
		t.Errorf("got %s", d.Body)
	}
}
