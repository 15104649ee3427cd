package bound

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Mode says what a credential is worth that is shown from elsewhere.
type Mode string

// The modes, from mild to strict. The strictest of those that apply counts.
const (
	Off    Mode = ""        // not bound
	Report Mode = "report"  // accepted, and told of
	StepUp Mode = "step-up" // the person must sign in again first (RFC 9470)
	Refuse Mode = "refuse"  // not accepted
)

var strictness = map[Mode]int{Off: 0, Report: 1, StepUp: 2, Refuse: 3}

// Check returns an error for a mode that is none of the above.
func (m Mode) Check() error {
	if _, known := strictness[m]; !known {
		return fmt.Errorf("bind %q: use report, step-up or refuse, or leave it out", string(m))
	}
	return nil
}

// Policy says what the credentials of a client are bound to.
type Policy struct {
	Network Mode `json:"network,omitempty"`
	Device  Mode `json:"device,omitempty"`
}

// Seen is what a request shows of where it comes from.
type Seen struct {
	Address  netip.Addr // of the person's machine, as a trusted proxy tells it; invalid when unknown
	Agent    string     // the User-Agent header
	Language string     // the Accept-Language header
}

// Binding is what one credential is bound to. The zero Binding is bound to
// nothing.
type Binding struct{ Network, Device Mark }

// Mark is one thing a credential is bound to.
type Mark struct {
	Mode Mode
	Hash string // 16 bytes of SHA-256, base64url
}

// Of binds a credential to what is seen. salt is a public, unique name of it: its
// sid.
func (p Policy) Of(salt string, seen Seen) Binding {
	var b Binding
	if p.Network != Off {
		b.Network = Mark{Hash: hash("net", salt, network(seen.Address)), Mode: p.Network}
	}
	if p.Device != Off {
		b.Device = Mark{Hash: hash("dev", salt, device(seen)), Mode: p.Device}
	}
	return b
}

// Verdict says what is different, and what that means.
type Verdict struct {
	Mode    Mode // Off when nothing is different
	Network bool // another network
	Device  bool // another device
}

// Check compares what is seen with what the credential is bound to.
func (b Binding) Check(salt string, seen Seen) Verdict {
	var v Verdict
	if b.Network.Mode != Off && !same(b.Network.Hash, hash("net", salt, network(seen.Address))) {
		v.Network, v.Mode = true, b.Network.Mode
	}
	if b.Device.Mode != Off && !same(b.Device.Hash, hash("dev", salt, device(seen))) {
		v.Device = true
		if strictness[b.Device.Mode] > strictness[v.Mode] {
			v.Mode = b.Device.Mode
		}
	}
	return v
}

// IsZero reports whether nothing is bound.
func (b Binding) IsZero() bool { return b == Binding{} }

// String is the binding as text, "" for the zero Binding, such as
// "net=refuse:...,dev=report:...". Parse reads it.
func (b Binding) String() string {
	var parts []string
	for _, m := range []struct {
		name string
		Mark
	}{{"net", b.Network}, {"dev", b.Device}} {
		if m.Mode != Off {
			parts = append(parts, m.name+"="+string(m.Mode)+":"+m.Hash)
		}
	}
	return strings.Join(parts, ",")
}

// Parse reads what String wrote. What it cannot read is an error: a credential
// whose binding is not understood must not be taken for an unbound one.
func Parse(text string) (Binding, error) {
	var b Binding
	for rest := text; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		name, mark, _ := strings.Cut(part, "=")
		mode, hash, _ := strings.Cut(mark, ":")
		m := Mark{Mode: Mode(mode), Hash: hash}
		switch {
		case m.Mode == Off || m.Mode.Check() != nil || len(hash) != encoded:
			return Binding{}, errUnreadable
		case name == "net" && b == (Binding{}):
			b.Network = m
		case name == "dev" && b.Device == (Mark{}):
			b.Device = m
		default:
			return Binding{}, errUnreadable
		}
	}
	if b.String() != text {
		return Binding{}, errUnreadable
	}
	return b, nil
}

var errUnreadable = errors.New("binding cannot be read")

// bits of a hash: enough that no two of the few things there are look alike.
const (
	bytes   = 16
	encoded = 22
)

func hash(kind, salt, value string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "wafer binding 1\x00%s\x00%d\x00%s\x00%s", kind, len(salt), salt, value))
	return base64.RawURLEncoding.EncodeToString(sum[:bytes])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// network is the part of an address that stays when a machine gets a new one.
func network(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsValid() {
		return "unknown"
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}

// device is a few words about a browser. Versions are left out: they change while
// a session lives.
func device(seen Seen) string {
	agent := strings.ToLower(seen.Agent)
	return first(agent, families) + " " + first(agent, systems) + " " + language(seen.Language)
}

// A word that stands in a User-Agent. Order matters: browsers claim to be others.
var (
	families = []string{"edg", "opr/", "firefox", "fxios", "chrome", "crios", "safari", "curl", "go-http-client"}
	systems  = []string{"android", "iphone", "ipad", "windows", "mac os x", "cros", "linux"}
)

func first(text string, words []string) string {
	for _, w := range words {
		if strings.Contains(text, w) {
			return w
		}
	}
	return "other"
}

// language is the first language, without its region.
func language(accept string) string {
	end := strings.IndexAny(accept, "-,;_")
	if end < 0 {
		end = len(accept)
	}
	return strings.ToLower(strings.TrimSpace(accept[:min(end, 8)]))
}
