package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/config"
)

// soon is how little time left on a certificate is worth a word.
const soon = 14 * 24 * time.Hour

// Roots returns the system's authorities and those in pem, for Target.CA.
func Roots(pem []byte) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("there is no certificate in it; it should hold one or more PEM blocks")
	}
	return pool, nil
}

func (x *exam) checkURL(context.Context) finding {
	const write = "Write scheme://host[:port], such as https://id.example.com."
	u, err := url.Parse(x.URL)
	if err != nil {
		return wrong(write, "%s is no URL.", quote(x.URL))
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return wrong(write, "%s does not begin with http:// or https:// and a host.", quote(x.URL))
	}
	if u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return wrong(write, "%s has more than a scheme, a host and a port.", quote(x.URL))
	}
	u.Host = strings.ToLower(u.Host)
	x.url, x.base, x.stage = u, u.Scheme+"://"+u.Host, parsed
	if u.Scheme == "http" && !config.IsLoopback(u.Hostname()) {
		return wrong("Serve it by https: a certificate at the proxy, and an --issuer that begins with https.",
			"Plain HTTP shows passwords and cookies to everybody on the way; browsers drop Secure cookies on it.")
	}
	return fine("%s", x.base)
}

// address is host:port of the target.
func (x *exam) address() string {
	port := x.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[x.url.Scheme]
	}
	return net.JoinHostPort(x.url.Hostname(), port)
}

func (x *exam) checkName(ctx context.Context) finding {
	host := x.url.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		x.stage = named
		return fine("%s is an address itself.", host)
	}
	ctx, cancel := context.WithTimeout(ctx, perProbe)
	defer cancel()
	all, err := x.Resolve(ctx, host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return wrong("Add an A or AAAA record for it, or mend the spelling.", "There is no name %s.", quote(host))
	case err != nil:
		return wrong("Look at this machine's name server (/etc/resolv.conf).", "%s cannot be looked up: %s.", quote(host), sayError(err))
	case len(all) == 0:
		return wrong("Add an A or AAAA record for it.", "%s has no address.", quote(host))
	}
	x.stage = named
	return fine("%s", strings.Join(all, ", "))
}

func (x *exam) checkConnect(ctx context.Context) finding {
	conn, err := x.dial(ctx)
	if err != nil {
		return wrong("Is Wafer, or the proxy before it, running and listening on this port? Is a firewall in between? (wafer serve --listen, systemctl status)",
			"%s: %s.", x.address(), sayError(err))
	}
	defer conn.Close()
	x.stage = connected
	return fine("%s", conn.RemoteAddr())
}

func (x *exam) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, perProbe)
	defer cancel()
	return x.Dial(ctx, "tcp", x.address())
}

// handshake is what TLS told.
type handshake struct {
	chain []*x509.Certificate
	proto string
}

// shake makes a handshake that accepts any certificate: it is judged afterwards,
// so that a bad one can be described.
func (x *exam) shake(ctx context.Context, least, most uint16) (handshake, error) {
	conn, err := x.dial(ctx)
	if err != nil {
		return handshake{}, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, perProbe)
	defer cancel()
	c := tls.Client(conn, &tls.Config{ //nolint:gosec // old versions are offered to see whether they are refused
		ServerName: x.url.Hostname(), InsecureSkipVerify: true, MinVersion: least, MaxVersion: most, NextProtos: []string{"h2", "http/1.1"},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return handshake{}, err
	}
	st := c.ConnectionState()
	return handshake{st.PeerCertificates, st.NegotiatedProtocol}, nil
}

func (x *exam) checkTLS(ctx context.Context) finding {
	if !x.https() {
		x.stage = secured
		x.web = x.newWeb()
		return skipped("The URL is plain http.")
	}
	var err error
	x.tls, err = x.shake(ctx, tls.VersionTLS12, 0)
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &notTLS):
		return wrong("Plain HTTP seems to listen here. Wafer does plain HTTP; let a proxy do TLS on this port, or ask by http:// on loopback.", "This is no TLS.")
	case err != nil && strings.Contains(err.Error(), "protocol version"):
		return wrong("Switch on TLS 1.2 and 1.3 (nginx: ssl_protocols TLSv1.2 TLSv1.3).", "The server speaks neither TLS 1.2 nor 1.3.")
	case err != nil:
		return wrong("Does the proxy have a certificate for this name? Its error log says more.", "The TLS handshake fails: %s.", sayError(err))
	}
	x.stage = secured
	f := x.judge(x.tls.chain)
	x.unproven = f.status == Fail
	x.web = x.newWeb()
	return f
}

// judge verifies a chain as a browser would.
func (x *exam) judge(chain []*x509.Certificate) finding {
	leaf, between := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: x.url.Hostname(), Roots: x.CA, Intermediates: between, CurrentTime: x.Now()})
	if err == nil {
		return fine("Issued by %s.", quote(leaf.Issuer.String()))
	}
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		return wrong("Get a certificate that names the host, or ask by the name that it has.",
			"The certificate is for %s, not for %s.", quote(strings.Join(namesOf(leaf), ", ")), quote(x.url.Hostname()))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return wrong("Renew it, and let the proxy load it again. If the dates are right, this machine's clock is wrong.",
			"The certificate is good from %s to %s only.", day(leaf.NotBefore), day(leaf.NotAfter))
	case errors.As(err, &unknown) && leaf.CheckSignatureFrom(leaf) == nil, errors.As(err, &unknown) && leaf.Issuer.String() == leaf.Subject.String():
		return wrong("For people, get one from an authority that browsers know. For development, name it here: --ca FILE, and give it to whoever calls.",
			"The certificate is self-signed.")
	case errors.As(err, &unknown):
		return wrong("With a development authority: --ca FILE with its certificate. Otherwise the intermediate certificate may be missing: "+
			"let the proxy send the full chain (nginx: ssl_certificate with fullchain.pem).",
			"The certificate is signed by %s, which is not known here; %d certificate(s) were sent.", quote(leaf.Issuer.String()), len(chain))
	}
	return wrong("Get another certificate.", "The certificate is refused: %s.", err)
}

func namesOf(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func (x *exam) checkExpiry(context.Context) finding {
	if !x.https() {
		return skipped("The URL is plain http.")
	}
	first := x.tls.chain[0].NotAfter
	for _, c := range x.tls.chain[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	left := first.Sub(x.Now())
	const renew = "Renew it, and see why this did not happen by itself; then let the proxy load it again."
	switch {
	case left <= 0:
		return wrong(renew, "It expired on %s.", day(first))
	case left < soon:
		return doubt(renew, "It expires on %s, in %d day(s).", day(first), int(left/(24*time.Hour)))
	}
	return fine("Until %s.", day(first))
}

func (x *exam) checkOldTLS(ctx context.Context) finding {
	if !x.https() {
		return skipped("The URL is plain http.")
	}
	if _, err := x.shake(ctx, tls.VersionTLS10, tls.VersionTLS11); err == nil {
		return wrong("nginx: ssl_protocols TLSv1.2 TLSv1.3;", "TLS 1.0 or 1.1 is accepted (RFC 8996 forbids both).")
	}
	return fine("Refused.")
}

func (x *exam) checkHTTP2(context.Context) finding {
	switch {
	case !x.https():
		return skipped("The URL is plain http.")
	case x.tls.proto == "h2":
		return fine("Offered.")
	}
	return fine("Not offered. All works without it; pages load a little slower.")
}

func (x *exam) checkHTTP(ctx context.Context) finding {
	a := x.get(ctx, "/healthz")
	if a.err != nil {
		return wrong("Something listens, but does not speak HTTP or hangs. Is it the right port? Its log says more.", "%s", a)
	}
	x.stage = answered
	return fine("%d at /healthz.", a.status)
}

// checkWafer tells a Wafer by words that others do not use.
func (x *exam) checkWafer(ctx context.Context) finding {
	who := x.get(ctx, "/session")
	var meta struct {
		Token string `json:"token_endpoint"`
		Keys  string `json:"jwks_uri"`
	}
	about := x.get(ctx, metadataPath)
	if about.err == nil && about.status == 200 {
		_ = json.Unmarshal(about.body, &meta) // what cannot be read is no sign
	}
	switch {
	case who.refusal(401, "unauthenticated"), who.refusal(421, "misdirected"), about.refusal(421, "misdirected"),
		strings.HasSuffix(meta.Token, "/oauth/token") && strings.HasSuffix(meta.Keys, keysPath):
		x.stage = known
		return fine("Yes.")
	}
	found := fmt.Sprintf("GET /session: %s; GET %s: %s", who, metadataPath, about)
	switch {
	case strings.Contains(string(who.body), "HTTPS"):
		return wrong("This port wants TLS: ask by https://.", "%s", found)
	case who.status >= 502 && who.status <= 504:
		return wrong("A proxy answers, but not Wafer behind it: is Wafer running, and does the proxy's upstream name its address (wafer serve --listen)?", "%s", found)
	case who.redirects() && about.redirects():
		return wrong("Everything is redirected. See redirect.loop; or ask by the URL to which it leads.", "%s", found)
	}
	return wrong("Some other server answers here. Does the proxy send this name to Wafer, and is the port the right one?", "%s", found)
}
