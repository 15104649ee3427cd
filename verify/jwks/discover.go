package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wafer-auth/wafer/verify/internal/wire"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Discover asks the issuer for the address of its key set. The document's issuer
// must equal the one given byte for byte, or the keys would be somebody else's
// (RFC 8414 section 3.3). client may be nil.
func Discover(ctx context.Context, issuer string, client *http.Client) (string, error) {
	if err := wire.CheckURL(issuer); err != nil {
		return "", fmt.Errorf("issuer %q: %w", issuer, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*defaultTimeout)
	defer cancel()
	client = fetchingClient(client)
	var errs []error
	for _, address := range wellKnown(issuer) {
		found, err := discoverAt(ctx, client, issuer, address)
		if err == nil {
			return found, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
		if !errors.Is(err, errNotThere) {
			break
		}
	}
	return "", fmt.Errorf("discover the key set of %s: %w", issuer, errors.Join(errs...))
}

var errNotThere = errors.New("no document")

// wellKnown gives OpenID Connect's place, appended to the issuer, and then the
// one of RFC 8414, inserted before its path.
func wellKnown(issuer string) []string {
	places := []string{strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"}
	if u, err := url.Parse(issuer); err == nil {
		u.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")
		places = append(places, u.String())
	}
	return places
}

func discoverAt(ctx context.Context, client *http.Client, issuer, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	res, body, err := get(client, req)
	if err != nil {
		return "", err
	}
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", errNotThere
	default:
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	members, err := jose.Members(body)
	if err != nil {
		return "", err
	}
	said, keys := member(members, "issuer"), member(members, "jwks_uri")
	if said != issuer {
		return "", fmt.Errorf("the document is of issuer %q", said)
	}
	if err := checkKeysURL(issuer, keys); err != nil {
		return "", err
	}
	return keys, nil
}

func checkKeysURL(issuer, keys string) error {
	if keys == "" {
		return errors.New("the document names no jwks_uri")
	}
	if err := wire.CheckURL(keys); err != nil {
		return fmt.Errorf("jwks_uri %q: %w", keys, err)
	}
	// A loopback address is this machine's own: an issuer elsewhere cannot mean it.
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(keys, "https:") {
		return fmt.Errorf("jwks_uri %q is not https", keys)
	}
	return nil
}

func member(members []jose.Member, name string) string {
	for _, m := range members {
		if m.Name == name {
			s, _ := jose.String(m.Value) // another type counts as absent, and absent is refused
			return s
		}
	}
	return ""
}
