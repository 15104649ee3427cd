package bound_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/verify/bound"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	chrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	edge    = chrome + " Edg/142.0.0.0"
)

func seen(address, agent, language string) bound.Seen {
	s := bound.Seen{Agent: agent, Language: language}
	if address != "" {
		s.Address = netip.MustParseAddr(address)
	}
	return s
}

func TestCheck(t *testing.T) {
	t.Parallel()
	home := seen("203.0.113.7", firefox, "en-US,en;q=0.5")
	both := bound.Policy{Network: bound.Refuse, Device: bound.Report}
	for _, tt := range []struct {
		name   string
		policy bound.Policy
		first  bound.Seen
		later  bound.Seen
		want   bound.Verdict
	}{
		{"the same", both, home, home, bound.Verdict{}},
		{"another address of the network", both, home, seen("203.0.113.250", firefox, "en-US,en;q=0.5"), bound.Verdict{}},
		{"another network", both, home, seen("203.0.114.7", firefox, "en-US"), bound.Verdict{Mode: bound.Refuse, Network: true}},
		{"the same, mapped into IPv6", both, home, seen("::ffff:203.0.113.7", firefox, "en"), bound.Verdict{}},
		{"no address", both, home, seen("", firefox, "en"), bound.Verdict{Mode: bound.Refuse, Network: true}},
		{"IPv6 network", both, seen("2001:db8:1:2::3", firefox, "en"), seen("2001:db8:1:ffff::9", firefox, "en"), bound.Verdict{}},
		{"another IPv6 network", both, seen("2001:db8:1::3", firefox, "en"), seen("2001:db8:2::3", firefox, "en"),
			bound.Verdict{Mode: bound.Refuse, Network: true}},
		{"an update of the browser", both, home, seen("203.0.113.7", strings.ReplaceAll(firefox, "145", "146"), "en-GB"), bound.Verdict{}},
		{"another browser", both, home, seen("203.0.113.7", chrome, "en"), bound.Verdict{Mode: bound.Report, Device: true}},
		{"another language", both, home, seen("203.0.113.7", firefox, "de-DE"), bound.Verdict{Mode: bound.Report, Device: true}},
		{"Edge is not Chrome", both, seen("203.0.113.7", chrome, "en"), seen("203.0.113.7", edge, "en"), bound.Verdict{Mode: bound.Report, Device: true}},
		{"everything: the strictest counts", both, home, seen("198.51.100.1", chrome, "de"),
			bound.Verdict{Mode: bound.Refuse, Network: true, Device: true}},
		{"everything, the device is stricter", bound.Policy{Network: bound.Report, Device: bound.StepUp}, home, seen("198.51.100.1", chrome, "de"),
			bound.Verdict{Mode: bound.StepUp, Network: true, Device: true}},
		{"not bound", bound.Policy{}, home, seen("198.51.100.1", chrome, "de"), bound.Verdict{}},
		{"only the device is bound", bound.Policy{Device: bound.Refuse}, home, seen("198.51.100.1", firefox, "en"), bound.Verdict{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := bound.Parse(tt.policy.Of("ses_1", tt.first).String())
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Check("ses_1", tt.later); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A binding that was copied to another credential fits nothing.
func TestBindingBelongsToOneCredential(t *testing.T) {
	t.Parallel()
	here := seen("203.0.113.7", firefox, "en")
	b := bound.Policy{Network: bound.Refuse}.Of("ses_1", here)
	if got := b.Check("ses_1", here); got.Mode != bound.Off {
		t.Errorf("its own: %+v", got)
	}
	if got := b.Check("ses_2", here); got.Mode != bound.Refuse {
		t.Errorf("another's: %+v", got)
	}
}

func TestBindingTellsNoAddress(t *testing.T) {
	t.Parallel()
	text := bound.Policy{Network: bound.Refuse, Device: bound.Refuse}.Of("ses_1", seen("203.0.113.7", firefox, "en")).String()
	for _, secret := range []string{"203", "113", "refox", "inux"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands in %s", secret, text)
		}
	}
}

// What is not understood is never taken for unbound.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := bound.Policy{Network: bound.Refuse}.Of("ses_1", seen("203.0.113.7", firefox, "en")).String()
	mark := "refuse:AAAAAAAAAAAAAAAAAAAAAA"
	for _, bad := range []string{
		"x", ",", "net", "net=", "net=" + mark[:20], "net=:AAAAAAAAAAAAAAAAAAAAAA", "geo=" + mark, "net=" + mark + ",", ",net=" + mark,
		"dev=" + mark + ",net=" + mark, "net=" + mark + ",net=" + mark, strings.Replace(good, "refuse", "ignore", 1), good + good, good + " ",
	} {
		if b, err := bound.Parse(bad); err == nil {
			t.Errorf("%s was read as %+v", bad, b)
		}
	}
	if _, err := bound.Parse(good); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(bound.Policy{Network: bound.Refuse, Device: bound.Report}.Of("s", seen("203.0.113.7", firefox, "en")).String())
	f.Fuzz(func(t *testing.T, text string) {
		b, err := bound.Parse(text)
		if err != nil {
			return
		}
		if again, err := bound.Parse(b.String()); err != nil || again != b {
			t.Errorf("%q: %+v then %+v, %v", text, b, again, err)
		}
	})
}
