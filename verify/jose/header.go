package jose

// Default limits. A header line of 8 KiB is what common servers and proxies let
// through; 2 KiB of it hold any honest JOSE header.
const (
	DefaultTokenLimit  = 8 << 10
	DefaultHeaderLimit = 2 << 10
)

// Limits caps what Parse reads, in bytes of the encoded token and of its encoded
// header. A field of zero or less means the default.
type Limits struct {
	Token  int
	Header int
}

func (l Limits) orDefault() Limits {
	if l.Token <= 0 {
		l.Token = DefaultTokenLimit
	}
	if l.Header <= 0 {
		l.Header = DefaultHeaderLimit
	}
	return l
}

// Header is the protected header of a token. In what Parse and Decrypt return,
// it is what the token says of itself: proof of nothing before verification.
// Given to Sign and Encrypt, Type and ContentType are written; Algorithm, KeyID
// and Encryption come from the key and must be empty or equal to it.
type Header struct {
	Algorithm   Algorithm
	Type        string // typ
	ContentType string // cty
	KeyID       string // kid
	Encryption  string // enc, in encrypted tokens only
}

// rawHeader is a Header with the members that only key agreement reads.
type rawHeader struct {
	Header
	epk, apu, apv []byte // JSON text
}

// parseHeader reads a decoded protected header. Members it does not name, and so
// jwk, jku, x5c, x5u and all other ways to bring a key along, are never looked at.
func parseHeader(b []byte) (rawHeader, error) {
	var buf [12]field
	fields, err := scanObject(b, buf[:0])
	if err != nil {
		return rawHeader{}, err
	}
	var h rawHeader
	for _, f := range fields {
		if err := h.set(f); err != nil {
			return rawHeader{}, err
		}
	}
	if h.Algorithm == "" {
		return rawHeader{}, ErrAlgorithm
	}
	return h, nil
}

// signedHeader reads the decoded protected header of a signed token.
func signedHeader(b []byte) (Header, error) {
	h, err := parseHeader(b)
	if err != nil {
		return Header{}, err
	}
	if h.Encryption != "" {
		return Header{}, malformed("a signed token has no enc")
	}
	if h.Algorithm.traits().family == familyNone {
		return Header{}, ErrAlgorithm
	}
	return h.Header, nil
}

func (h *rawHeader) set(f field) (err error) {
	switch string(f.name) {
	case "alg":
		var name []byte
		name, err = stringBytes(f.value)
		h.Algorithm = algorithmNamed(name)
	case "typ":
		h.Type, err = text(f.value)
	case "cty":
		h.ContentType, err = text(f.value)
	case "kid":
		h.KeyID, err = text(f.value)
	case "enc":
		h.Encryption, err = text(f.value)
	case "epk":
		h.epk = f.value
	case "apu":
		h.apu = f.value
	case "apv":
		h.apv = f.value
	case "crit", "b64":
		// RFC 7515 section 4.1.11: what is not understood must be refused, and we
		// understand none. A malformed crit is refused by the same word.
		return ErrCritical
	case "zip":
		// Decompression is a bomb (CVE-2024-28180) and no signed form has it.
		return ErrAlgorithm
	}
	return err
}

// claim checks that what a caller put in the header does not contradict the key.
func (h Header) claim(alg Algorithm, kid string) error {
	if h.Algorithm != "" && h.Algorithm != alg {
		return ErrAlgorithm
	}
	if h.KeyID != "" && h.KeyID != kid {
		return badKey("header names another key")
	}
	if !plain(h.Type) || !plain(h.ContentType) {
		return malformed("unfit header text")
	}
	return nil
}

// appendTo appends the non-empty members to an open JSON object.
func (h Header) appendTo(b []byte) []byte {
	b = appendMember(b, "alg", string(h.Algorithm))
	for _, m := range [...]struct{ name, value string }{
		{"enc", h.Encryption}, {"typ", h.Type}, {"cty", h.ContentType}, {"kid", h.KeyID},
	} {
		if m.value != "" {
			b = appendMember(b, m.name, m.value)
		}
	}
	return b
}
