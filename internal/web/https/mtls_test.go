package https_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"github.com/wafer-auth/wafer/internal/config"
	"github.com/wafer-auth/wafer/internal/web/https"
)

// withClients opens a Front that reads the certificates of clients at mtls.
func (o *own) withClients(mtls string) (*https.Front, error) {
	c := config.Config{TLSCert: o.cert, TLSKey: o.key, Issuer: o.issuer, MTLS: mtls}.WithDefaults()
	return https.Open(https.Options{Config: c, Now: o.c.now, Log: o.log.slog()})
}

// Browsers show a dialog to people who have certificates: they are asked only where
// clients are to show theirs, and need not have one there.
func TestClientCertificatesAreAskedForAtOneName(t *testing.T) {
	t.Parallel()
	o, ca := newOwn(t)
	const id, clients = "id.example", "mtls.id.example"
	_, err := o.withClients("https://" + clients)
	refused(t, err, "is not for the host mtls.id.example")
	o.put(ca.pair(order{names: []string{id, clients}}))
	cert, key := newAuthority(t, o.c).pair(order{commonName: "billing"}) // of nobody we know
	own, err := tls.X509KeyPair(cert, key)
	must(t, err)
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.TLS.PeerCertificates))
	})
	for _, tt := range []struct {
		name, mtls, host string
		shows            bool
		asked            bool
		want             string
	}{
		{"nowhere", "", id, true, false, "0"},
		{"the issuer", "https://" + id, id, true, true, "1"},
		{"the issuer, without", "https://" + id, id, false, true, "0"},
		{"at another name", "https://" + clients, clients, true, true, "1"},
		{"at another name, in capitals", "https://" + clients, "MTLS.id.example", true, true, "1"},
		{"at another name, without", "https://" + clients, clients, false, true, "0"},
		{"not at the issuer", "https://" + clients, id, true, false, "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			front, err := o.withClients(tt.mtls)
			must(t, err)
			s := serveFront(t, front, o.c, tell)
			s.roots, s.host = ca.pool(), tt.host
			asked := false
			settings := s.tls()
			settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				if !tt.shows {
					return &tls.Certificate{}, nil
				}
				return &own, nil
			}
			tr := &http.Transport{TLSClientConfig: settings, DialContext: s.dial}
			defer tr.CloseIdleConnections()
			if _, got := get(t, &http.Client{Transport: tr}, "https://"+tt.host+"/"); got != tt.want || asked != tt.asked {
				t.Errorf("the server has %s certificates, asked %t", got, asked)
			}
		})
	}
}
