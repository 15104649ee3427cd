package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Who may register a client.
const (
	RegistrationOff   = "off"
	RegistrationToken = "token"
	RegistrationOpen  = "open"
)

// Registers reports whether clients may register themselves at all.
func (c Config) Registers() bool {
	return c.Registration == RegistrationToken || c.Registration == RegistrationOpen
}

// OutboundLoopback reports whether Outbound names addresses of this machine.
func (c Config) OutboundLoopback() bool {
	return slices.ContainsFunc(c.Outbound, func(p netip.Prefix) bool { return p.Addr().Unmap().IsLoopback() })
}

func (c Config) checkRegistration() error {
	var errs []error
	if !slices.Contains([]string{"", RegistrationOff, RegistrationToken, RegistrationOpen}, c.Registration) {
		errs = append(errs, fmt.Errorf("registration %q: write off, token or open", c.Registration))
	}
	if !slices.Contains([]string{"", "strict", "fapi2", "certification"}, c.RegistrationProfile) {
		errs = append(errs, fmt.Errorf("registration-profile %q: write strict, fapi2 or certification", c.RegistrationProfile))
	}
	if len(c.RegistrationAPIs) > 0 && !c.Registers() && !c.ClientDocuments {
		errs = append(errs, errors.New("registration-api: nobody could ask for it; add --registration token, --registration open or --client-documents"))
	}
	for id := range c.RegistrationAPIs {
		if id == "management" || id == c.Issuer+"/api/v1" {
			errs = append(errs, errors.New("registration-api management: clients that no operator added cannot manage anything"))
		}
	}
	return errors.Join(errs...)
}
