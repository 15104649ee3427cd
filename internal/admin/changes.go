package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/role"
)

// differences collects one line for each field that changes.
type differences []string

func (d *differences) text(field, old, next string) {
	if old != next {
		*d = append(*d, fmt.Sprintf("%s %s -> %s", field, shown(old), shown(next)))
	}
}

func (d *differences) list(field string, old, next []string) {
	if !slices.Equal(old, next) {
		*d = append(*d, fmt.Sprintf("%s %s -> %s", field, listText(old), listText(next)))
	}
}

func (d *differences) scopes(field string, old, next map[string][]string) {
	if a, b := scopeText(old), scopeText(next); a != b {
		*d = append(*d, fmt.Sprintf("%s %s -> %s", field, a, b))
	}
}

// flag takes what to say when a field becomes true, and when false.
func (d *differences) flag(old, next bool, on, off string) {
	switch {
	case next && !old:
		*d = append(*d, on)
	case old && !next:
		*d = append(*d, off)
	}
}

func userChanges(old, next account.User) []string {
	var d differences
	d.text("login", old.Login, next.Login)
	d.text("name", old.Name, next.Name)
	d.list("roles", old.Roles, next.Roles)
	d.profile(old.Profile, next.Profile)
	d.flag(old.PasswordHash != next.PasswordHash, false, "", "password changed")
	d.flag(old.Disabled, next.Disabled, "disabled", "enabled")
	return d
}

func clientChanges(old, next client.Client) []string {
	var d differences
	d.text("name", old.Name, next.Name)
	d.text("kind", string(old.Kind), string(next.Kind))
	d.flag(old.FirstParty, next.FirstParty, "first party", "not first party any more")
	d.flag(!old.SecretHash.Equal(next.SecretHash), false, "", "secret changed")
	if next.OldSecretUntil != old.OldSecretUntil && !next.OldSecretUntil.IsZero() {
		d = append(d, "the old secret works until "+next.OldSecretUntil.UTC().Format(time.RFC3339))
	}
	d.list("redirect_uris", old.RedirectURIs, next.RedirectURIs)
	d.list("origins", old.Origins, next.Origins)
	d.list("grants", old.Grants, next.Grants)
	d.scopes("apis", old.APIs, next.APIs)
	d.list("serves", old.Serves, next.Serves)
	d.text("bind.network", string(old.Bind.Network), string(next.Bind.Network))
	d.text("bind.device", string(old.Bind.Device), string(next.Bind.Device))
	d.text("backchannel_logout_uri", old.BackchannelLogoutURI, next.BackchannelLogoutURI)
	d.flag(old.BackchannelLogoutSession, next.BackchannelLogoutSession, "logout notices name the session", "logout notices may name the user alone")
	d.oauth(old.OAuth, next.OAuth)
	d.flag(old.Disabled, next.Disabled, "disabled", "enabled")
	return d
}

func apiChanges(old, next api.API) []string {
	var d differences
	d.text("name", old.Name, next.Name)
	d.text("token.format", string(old.Token.Format), string(next.Token.Format))
	d.text("token.alg", string(old.Token.Alg), string(next.Token.Alg))
	d.text("token.lifetime", durationText(old.Token.Lifetime), durationText(next.Token.Lifetime))
	d.flag(encryptText(old.Token.Encrypt) != encryptText(next.Token.Encrypt), false, "", "token.encrypt changed")
	d.flag(old.Token.StatusList, next.Token.StatusList, "token.status_list on", "token.status_list off")
	d.list("scopes", old.Scopes, next.Scopes)
	d.text("stale", string(old.Stale), string(next.Stale))
	d.flag(old.Disabled, next.Disabled, "disabled", "enabled")
	return d
}

func roleChanges(old, next role.Role) []string {
	var d differences
	d.scopes("scopes", old.Scopes, next.Scopes)
	return d
}

func shown(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func listText(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

func scopeText(scopes map[string][]string) string {
	parts := make([]string, 0, len(scopes))
	for _, id := range sortedKeys(scopes) {
		parts = append(parts, id+": "+listText(scopes[id]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func encryptText(e *api.Encrypt) string {
	if e == nil {
		return ""
	}
	return e.Alg + " " + e.Enc + " " + string(e.JWK)
}

// durationText is 5m where Duration.String says 5m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// normalScopes gives equal maps one form, and the built-in API its name.
func (s *Service) normalScopes(scopes map[string][]string) map[string][]string {
	if len(scopes) == 0 {
		return nil
	}
	out := make(map[string][]string, len(scopes))
	for id, list := range scopes {
		id = s.apiID(id)
		out[id] = set(append(slices.Clone(list), out[id]...))
	}
	return out
}

// set is a list without order or doubles, in its one form: nil when empty.
func set(list []string) []string {
	return slices.Compact(sorted(list))
}

func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// once is a list without doubles, in its own order: nil when empty.
func once(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func without(scopes map[string][]string, id string) map[string][]string {
	out := maps.Clone(scopes)
	delete(out, id)
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func assign[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// wrap says what was being done; a fault keeps its code and sentence.
func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
