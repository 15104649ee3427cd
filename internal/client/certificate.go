package client

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names reports whether a certificate is the one that the registration names for
// tls_client_auth (RFC 8705 section 2.1.2). One name is registered; of several
// nothing is believed. Whether the certificate leads to a trusted root is not asked
// here.
func (o OAuth) Names(leaf *x509.Certificate) bool {
	names := []string{o.TLSSubjectDN, o.TLSSANDNS, o.TLSSANURI, o.TLSSANIP, o.TLSSANEmail}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	if len(names) != 1 {
		return false
	}
	switch {
	case o.TLSSubjectDN != "":
		return isSubject(o.TLSSubjectDN, leaf.RawSubject)
	case o.TLSSANDNS != "":
		// A name with a wildcard stands for many hosts, none of which is the client.
		return slices.ContainsFunc(leaf.DNSNames, func(s string) bool { return strings.EqualFold(s, o.TLSSANDNS) }) && !strings.Contains(o.TLSSANDNS, "*")
	case o.TLSSANURI != "":
		for _, u := range leaf.URIs {
			if u.String() == o.TLSSANURI {
				return true
			}
		}
		return false
	case o.TLSSANIP != "":
		want, err := netip.ParseAddr(o.TLSSANIP)
		for _, ip := range leaf.IPAddresses {
			if got, ok := netip.AddrFromSlice(ip); err == nil && ok && got.Unmap() == want.Unmap() {
				return true
			}
		}
		return false
	}
	return slices.Contains(leaf.EmailAddresses, o.TLSSANEmail)
}

// attribute is one assertion of a distinguished name.
type attribute struct{ kind, value string }

// attributeKinds are the short names of RFC 4514 section 3 and the usual others.
var attributeKinds = map[string]string{
	"CN": "2.5.4.3", "SERIALNUMBER": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "STREET": "2.5.4.9", "O": "2.5.4.10", "OU": "2.5.4.11",
	"BUSINESSCATEGORY": "2.5.4.15", "ORGANIZATIONIDENTIFIER": "2.5.4.97", "DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",
	"E": "1.2.840.113549.1.9.1", "EMAILADDRESS": "1.2.840.113549.1.9.1",
}

// CheckDN returns nil for a distinguished name that can be compared with that of a
// certificate: the string form of RFC 4514, without values in hexadecimal.
func CheckDN(text string) error {
	_, err := parseDN(text)
	return err
}

// isSubject compares parsed names: one name has many spellings as a string. Values
// are compared exactly.
func isSubject(text string, subject []byte) bool {
	want, err := parseDN(text)
	if err != nil {
		return false
	}
	var have pkix.RDNSequence
	if rest, err := asn1.Unmarshal(subject, &have); err != nil || len(rest) > 0 || len(have) != len(want) {
		return false
	}
	slices.Reverse(have) // RFC 4514 section 2.1: the last one comes first
	for i, set := range have {
		var attributes []attribute
		for _, a := range set {
			value, ok := a.Value.(string)
			if !ok {
				return false
			}
			attributes = append(attributes, attribute{a.Type.String(), value})
		}
		sortAttributes(attributes)
		if !slices.Equal(attributes, want[i]) {
			return false
		}
	}
	return true
}

func sortAttributes(a []attribute) {
	slices.SortFunc(a, func(x, y attribute) int {
		return strings.Compare(x.kind+"="+x.value, y.kind+"="+y.value)
	})
}

// parseDN reads a distinguished name as a list of sets of attributes.
func parseDN(text string) ([][]attribute, error) {
	if text == "" || len(text) > 1000 || !utf8.ValidString(text) {
		return nil, errors.New("a distinguished name has 1 to 1000 bytes of UTF-8")
	}
	var name [][]attribute
	var set []attribute
	for rest, more := text, true; more; {
		kind, after, found := strings.Cut(rest, "=")
		id, known := attributeKinds[strings.ToUpper(strings.TrimSpace(kind))]
		if !known {
			id = strings.TrimSpace(kind)
		}
		if !found || !known && !isOID(id) {
			return nil, fmt.Errorf("%q is no attribute of a distinguished name", kind)
		}
		value, end, after, err := parseValue(after)
		if err != nil {
			return nil, err
		}
		set = append(set, attribute{id, value})
		if end != '+' {
			sortAttributes(set)
			name, set = append(name, set), nil
		}
		rest, more = after, end != 0
	}
	return name, nil
}

// parseValue reads a value up to the separator that ends it, 0 for the end of all.
// Spaces around it that are not escaped do not belong to it.
func parseValue(s string) (value string, end byte, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "#") {
		return "", 0, "", errors.New("values in hexadecimal are not supported")
	}
	var b []byte
	kept := 0 // how much of b is no trailing space
	i := 0
loop:
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '+':
			end = c
			break loop
		case '"', ';', '<', '>', 0:
			return "", 0, "", fmt.Errorf("%q must be escaped in a distinguished name", c)
		case '\\':
			one, size, ok := unescape(s[i+1:])
			if !ok {
				return "", 0, "", errors.New("a distinguished name has a broken escape")
			}
			b = append(b, one)
			i += size
			kept = len(b)
		default:
			b = append(b, c)
			if c != ' ' {
				kept = len(b)
			}
		}
	}
	b = b[:kept]
	if len(b) == 0 || !utf8.Valid(b) {
		return "", 0, "", errors.New("a distinguished name has an empty or broken value")
	}
	if end != 0 {
		rest = s[i+1:]
	}
	return string(b), end, rest, nil
}

// unescape reads what follows a backslash: a special character, or two digits.
func unescape(s string) (b byte, size int, ok bool) {
	if s != "" && strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1, true
	}
	if len(s) < 2 {
		return 0, 0, false
	}
	pair, err := hex.DecodeString(s[:2])
	if err != nil {
		return 0, 0, false
	}
	return pair[0], 2, true
}

func isOID(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) > 1 && !slices.ContainsFunc(parts, func(p string) bool {
		return p == "" || strings.Trim(p, "0123456789") != "" || len(p) > 1 && p[0] == '0'
	})
}
