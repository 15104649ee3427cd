package authorize

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/opaque"
)

// flowFor is how long somebody may take to sign in and to decide.
const flowFor = time.Hour

// The places keep what is sealed here apart: a request in the middle of its way is no
// answer on a consent page.
const (
	placePosted = "authorization request that was posted"
	placeFlow   = "authorization request in a browser"
	placeStep   = "authorization request on a consent page"
)

var errFlow = fault.New(fault.Invalid, "This sign-in was started in another browser, or too long ago. Go back to the application and start again.")

// SealPosted keeps a request that was posted, for the GET that follows. It is bound
// to nobody, as the link that could have stood in its place is: browsers leave our
// cookies out of what another site posts.
func (s *Service) SealPosted(r oidc.Request) (string, error) { return s.seal(r, placePosted) }

// OpenPosted undoes SealPosted.
func (s *Service) OpenPosted(text string) (oidc.Request, error) {
	var r oidc.Request
	err := s.open(text, placePosted, &r)
	return r, s.fresh(r, err)
}

// SealFlow keeps a request while somebody signs in. browser is the secret of the
// browser that it is bound to: in another one it is worth nothing, so that nobody can
// have another person finish what they began.
func (s *Service) SealFlow(r oidc.Request, browser string) (string, error) {
	return s.seal(r, flowPlace(browser))
}

// OpenFlow undoes SealFlow.
func (s *Service) OpenFlow(text, browser string) (oidc.Request, error) {
	var r oidc.Request
	err := s.open(text, flowPlace(browser), &r)
	return r, s.fresh(r, err)
}

func flowPlace(browser string) string {
	d := opaque.Hash(browser)
	return placeFlow + " " + base64.RawURLEncoding.EncodeToString(d[:])
}

// step is what a consent page asks: its answer is to this, whatever else is shown in
// another tab.
type step struct {
	Request oidc.Request `json:"request"`
	Scopes  []string     `json:"scopes"`
}

func stepPlace(w Who) string {
	d := opaque.Hash(w.Browser)
	return placeStep + " " + w.Session.ID + " " + base64.RawURLEncoding.EncodeToString(d[:])
}

// fresh returns err, or a refusal when the request was taken too long ago.
func (s *Service) fresh(r oidc.Request, err error) error {
	if err == nil && !s.Now().Before(r.Started.Add(flowFor)) {
		return errFlow
	}
	return err
}

func (s *Service) seal(v any, place string) (string, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // nobody reads it as HTML, and it is in an address bar
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode request: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.Seal.Seal(body.Bytes(), place)), nil
}

func (s *Service) open(text, place string, into any) error {
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errFlow
	}
	body, err := s.Seal.Open(box, place)
	if err != nil {
		return errFlow
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read sealed request: %w", err)
	}
	return nil
}
