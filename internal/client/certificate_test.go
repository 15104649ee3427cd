package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"

	"github.com/wafer-auth/wafer/internal/client"
)

func certificateOf(t *testing.T, template x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestSubjectsAreComparedAsNames(t *testing.T) {
	t.Parallel()
	leaf := certificateOf(t, x509.Certificate{Subject: pkix.Name{
		Country: []string{"DE"}, Organization: []string{`Lücke, Söhne + "Co"`}, CommonName: "billing ",
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "x"}},
	}})
	for _, tt := range []struct {
		dn   string
		want bool
	}{
		{`1.2.3.4=x,CN=billing\ ,O=Lücke\, Söhne \+ \"Co\",C=DE`, true},
		{`1.2.3.4=x, cn = billing\20, o=L\C3\BCcke\2C Söhne \2B \22Co\22 , c=DE`, true},
		{`1.2.3.4=x,2.5.4.3=billing\ ,2.5.4.10=Lücke\, Söhne \+ \"Co\",2.5.4.6=DE`, true},
		{`C=DE,O=Lücke\, Söhne \+ \"Co\",CN=billing\ ,1.2.3.4=x`, false}, // the other way around
		{`CN=billing\ ,O=Lücke\, Söhne \+ \"Co\",C=DE`, false},
		{`1.2.3.4=x,CN=billing,O=Lücke\, Söhne \+ \"Co\",C=DE`, false},
		{`1.2.3.4=x,CN=Billing\ ,O=Lücke\, Söhne \+ \"Co\",C=DE`, false},
		{`1.2.3.4=x+CN=billing\ ,O=Lücke\, Söhne \+ \"Co\",C=DE`, false}, // one set of two
		{``, false},
	} {
		o := client.OAuth{TLSSubjectDN: tt.dn}
		if got := o.Names(leaf); got != tt.want {
			t.Errorf("%s: got %t", tt.dn, got)
		}
	}
	for _, bad := range []string{"", "billing", "CN=", "CN=a,", "XX=a", "CN=#0403", `CN=a\`, `CN=a\zz`, `CN="a"`, "CN=a;O=b", "2..3=a", "CN=\xff"} {
		if client.CheckDN(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if err := client.CheckDN(`OU=a+CN=b\=c,DC=example,DC=com`); err != nil {
		t.Error(err)
	}
}

// A client is named by one thing. A certificate that has another thing of the same
// text is another's.
func TestAlternativeNamesAreComparedByTheirKind(t *testing.T) {
	t.Parallel()
	u := &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/billing"}
	leaf := certificateOf(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "app.example"}, DNSNames: []string{"app.example", "*.wild.example"}, URIs: []*url.URL{u},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7), net.ParseIP("2001:db8::7")}, EmailAddresses: []string{"ops@app.example"},
	})
	for _, tt := range []struct {
		name string
		o    client.OAuth
		want bool
	}{
		{"dns", client.OAuth{TLSSANDNS: "App.example"}, true},
		{"another dns", client.OAuth{TLSSANDNS: "b.app.example"}, false},
		{"below a wildcard", client.OAuth{TLSSANDNS: "a.wild.example"}, false},
		{"a wildcard itself", client.OAuth{TLSSANDNS: "*.wild.example"}, false},
		{"uri", client.OAuth{TLSSANURI: "spiffe://example.org/billing"}, true},
		{"another uri", client.OAuth{TLSSANURI: "spiffe://example.org/Billing"}, false},
		{"ip", client.OAuth{TLSSANIP: "192.0.2.7"}, true},
		{"ip, long", client.OAuth{TLSSANIP: "2001:0db8::0007"}, true},
		{"another ip", client.OAuth{TLSSANIP: "192.0.2.8"}, false},
		{"no ip", client.OAuth{TLSSANIP: "app.example"}, false},
		{"email", client.OAuth{TLSSANEmail: "ops@app.example"}, true},
		{"another email", client.OAuth{TLSSANEmail: "Ops@app.example"}, false},
		{"the common name is no dns name", client.OAuth{TLSSubjectDN: "CN=other"}, false},
		{"two names", client.OAuth{TLSSANDNS: "app.example", TLSSANEmail: "ops@app.example"}, false},
		{"no name", client.OAuth{}, false},
	} {
		if got := tt.o.Names(leaf); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}
