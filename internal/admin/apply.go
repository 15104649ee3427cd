package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/factor/password"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/role"
	"github.com/wafer-auth/wafer/verify/bound"
	"github.com/wafer-auth/wafer/verify/jose"
)

// Report says what Apply did, in the words of the set-up.
type Report struct {
	Changes []string // "user ada@example.com added", "api ...: token.lifetime 5m -> 10m"
}

// Apply makes a declared set-up true: it adds what is not there and changes what
// is different. What the set-up does not name is left alone, a second time
// changes nothing. All of it is checked before any of it is written; each mistake
// is named with its line, in one fault.Invalid. When writing stops half-way, the
// report says how far it got, and applying again does the rest.
//
// A declared password or client secret is set whenever it is not the one in
// force. A declared password_hash is only a user's first: a later sign-in
// replaces it by a hash of our own.
func (s *Service) Apply(ctx context.Context, by By, d Declared) (Report, error) {
	p := &plan{Service: s, by: by, world: s.world()}
	for _, part := range []func(context.Context, Declared) error{p.planAPIs, p.planRoles, p.planClients, p.planUsers, p.planTransmitters} {
		if err := part(ctx, d); err != nil {
			return Report{}, err
		}
	}
	if err := p.checkAdmins(ctx); err != nil {
		return Report{}, err
	}
	if len(p.problems) > 0 {
		return Report{}, listed(p.problems)
	}
	var report Report
	for i, st := range p.steps {
		if err := st.do(ctx); err != nil {
			return report, fmt.Errorf("apply %s, after %d of %d steps: %w", st.at.name, i, len(p.steps), err)
		}
		report.Changes = append(report.Changes, st.changes...)
	}
	return report, nil
}

// plan is what Apply found out, and what it is going to do.
type plan struct {
	*Service
	by       By
	world    world
	steps    []planned
	problems []string
	admins   []account.User // the declared users as they will be
}

type planned struct {
	at      at
	changes []string
	do      func(context.Context) error
	first   bool // makes an administrator: goes before the other users
}

func (p *plan) add(st planned) {
	if len(st.changes) > 0 {
		p.steps = append(p.steps, st)
	}
}

// judge keeps a mistake in the set-up as a problem, and returns any other error.
func (p *plan) judge(a at, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code == fault.Forbidden || f.Code == fault.Busy {
		return err
	}
	p.problems = append(p.problems, a.say(strings.TrimSuffix(f.Public, ".")))
	return nil
}

// about is a change with the name of what it changes in front.
func about(a at, changes []string) []string {
	out := make([]string, 0, len(changes))
	for _, c := range changes {
		out = append(out, a.name+": "+c)
	}
	return out
}

func added(a at) []string { return []string{a.name + " added"} }

func (p *plan) planAPIs(ctx context.Context, d Declared) error {
	for _, a := range d.apis {
		id := p.apiID(a.ID)
		old, found, err := p.Store.APIByID(ctx, id)
		if err != nil {
			return fmt.Errorf("find API: %w", err)
		}
		next, e, err := p.nextAPI(ctx, a, old, found)
		if err != nil {
			if err := p.judge(a.at, err); err != nil {
				return err
			}
			next = api.API{ID: id, Scopes: slices.Concat(old.Scopes, deref(a.Scopes))} // so that no role is blamed for it
		}
		p.world.apis[id] = next
		if !found {
			p.add(planned{at: a.at, changes: added(a.at), do: func(ctx context.Context) error {
				_, err := p.AddAPI(ctx, p.by, next)
				return err
			}})
			continue
		}
		p.add(planned{at: a.at, changes: about(a.at, apiChanges(old, next)), do: func(ctx context.Context) error {
			_, err := p.EditAPI(ctx, p.by, id, e)
			return err
		}})
	}
	return nil
}

func (p *plan) nextAPI(ctx context.Context, a declaredAPI, old api.API, found bool) (api.API, APIEdit, error) {
	token, err := a.Token.over(old.Token)
	if err != nil {
		return api.API{}, APIEdit{}, err
	}
	if !found {
		next, err := p.newAPI(api.API{
			ID: a.ID, Name: deref(a.Name), Token: token, Scopes: deref(a.Scopes), Stale: api.Stale(deref(a.Stale)), Disabled: deref(a.Disabled),
		})
		return next, APIEdit{}, err
	}
	e := APIEdit{Name: a.Name, Scopes: a.Scopes, Stale: (*api.Stale)(a.Stale), Disabled: a.Disabled}
	if a.Token != nil {
		e.Token = &token
	}
	next, err := p.editedAPI(ctx, p.by, old, e)
	return next, e, err
}

// over is the declared token, and where it says nothing the old one.
func (t *declaredToken) over(old api.Token) (api.Token, error) {
	if t == nil {
		return old, nil
	}
	next := old
	assign(&next.Format, (*api.Format)(t.Format))
	assign(&next.Alg, (*jose.Algorithm)(t.Alg))
	assign(&next.StatusList, t.Status)
	if t.Lifetime != nil {
		d, err := time.ParseDuration(*t.Lifetime)
		if err != nil || d == 0 {
			return api.Token{}, fault.New(fault.Invalid, "token.lifetime "+*t.Lifetime+" is not a time like 5m or 1h.")
		}
		next.Lifetime = d
	}
	if t.Format != nil && next.Format != api.JWE {
		next.Encrypt = nil
	}
	if e := t.Encrypt; e != nil {
		next.Encrypt = &api.Encrypt{Alg: e.Alg, Enc: e.Enc, JWK: e.jwk}
	}
	return next, nil
}

func (p *plan) planRoles(ctx context.Context, d Declared) error {
	for _, r := range d.roles {
		old, found, err := p.Store.RoleByID(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("find role: %w", err)
		}
		e := RoleEdit{Scopes: r.Scopes}
		var next role.Role
		if found {
			next, err = p.editedRole(ctx, p.by, p.world, old, e)
		} else {
			next, err = p.newRole(ctx, p.by, p.world, role.Role{ID: r.ID, Scopes: deref(r.Scopes)})
		}
		if err != nil {
			if err := p.judge(r.at, err); err != nil {
				return err
			}
			next = role.Role{ID: r.ID} // so that no user is blamed for it
		}
		p.world.roles[r.ID] = next
		if !found {
			p.add(planned{at: r.at, changes: added(r.at), do: func(ctx context.Context) error {
				_, err := p.AddRole(ctx, p.by, next)
				return err
			}})
			continue
		}
		p.add(planned{at: r.at, changes: about(r.at, roleChanges(old, next)), do: func(ctx context.Context) error {
			_, err := p.EditRole(ctx, p.by, r.ID, e)
			return err
		}})
	}
	return nil
}

func (p *plan) planClients(ctx context.Context, d Declared) error {
	for _, c := range d.clients {
		old, found, err := p.Store.ClientByID(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("find client: %w", err)
		}
		if found {
			err = p.planClientEdit(ctx, c, old)
		} else {
			err = p.planNewClient(ctx, c)
		}
		if err := p.judge(c.at, err); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) planNewClient(ctx context.Context, c declaredClient) error {
	n := NewClient{Secret: deref(c.Secret), Client: client.Client{
		ID: c.ID, Name: deref(c.Name), Kind: client.Kind(deref(c.Kind)), FirstParty: deref(c.FirstParty),
		RedirectURIs: deref(c.RedirectURIs), Origins: deref(c.Origins), Grants: deref(c.Grants),
		APIs: deref(c.APIs), Serves: deref(c.Serves), Bind: bound.Policy(deref(c.Bind)), Disabled: deref(c.Disabled),
		BackchannelLogoutURI: deref(c.BackchannelLogoutURI), BackchannelLogoutSession: deref(c.BackchannelLogoutSession),
	}, Members: c.OAuth.object()}
	n, err := n.whole()
	if err != nil {
		return err
	}
	if n.KeepsSecret() && n.Secret == "" {
		// One that was made here would have nobody to be shown to.
		return fault.New(fault.Invalid, "a confidential client needs secret or secret_file")
	}
	if _, err := p.newClient(ctx, p.by, p.world, n); err != nil {
		return err
	}
	p.add(planned{at: c.at, changes: added(c.at), do: func(ctx context.Context) error {
		_, _, err := p.AddClient(ctx, p.by, n)
		return err
	}})
	return nil
}

func (p *plan) planClientEdit(ctx context.Context, c declaredClient, old client.Client) error {
	e := ClientEdit{
		Name: c.Name, Kind: (*client.Kind)(c.Kind), FirstParty: c.FirstParty, Secret: c.Secret, RedirectURIs: c.RedirectURIs,
		Origins: c.Origins, Grants: c.Grants, APIs: c.APIs, Serves: c.Serves, Bind: (*bound.Policy)(c.Bind), Disabled: c.Disabled,
		BackchannelLogoutURI: c.BackchannelLogoutURI, BackchannelLogoutSession: c.BackchannelLogoutSession, OAuth: c.OAuth.object(),
	}
	next, err := p.editedClient(ctx, p.by, p.world, old, e)
	if err != nil {
		return err
	}
	p.add(planned{at: c.at, changes: about(c.at, clientChanges(old, next)), do: func(ctx context.Context) error {
		_, err := p.EditClient(ctx, p.by, old.ID, e)
		return err
	}})
	return nil
}

func (p *plan) planUsers(ctx context.Context, d Declared) error {
	before := len(p.steps)
	seen := map[string]bool{}
	for _, u := range d.users {
		canonical, err := limit.Canonical(u.Login)
		if err != nil {
			p.problems = append(p.problems, u.at.say("the login is empty, too long, or holds characters that no login has"))
			continue
		}
		if seen[canonical] {
			p.problems = append(p.problems, u.at.say("is declared twice, in two spellings"))
			continue
		}
		seen[canonical] = true
		old, found, err := p.Store.UserByLogin(ctx, canonical)
		if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		if found {
			err = p.planUserEdit(ctx, u, old)
		} else {
			err = p.planNewUser(ctx, u)
		}
		if err := p.judge(u.at, err); err != nil {
			return err
		}
	}
	// New administrators first, so that the last old one can go after them.
	slices.SortStableFunc(p.steps[before:], func(a, b planned) int {
		switch {
		case a.first == b.first:
			return 0
		case a.first:
			return -1
		}
		return 1
	})
	return nil
}

func (p *plan) planNewUser(ctx context.Context, u declaredUser) error {
	n := NewUser{
		Login: u.Login, Name: deref(u.Name), Password: deref(u.Password), PasswordHash: deref(u.PasswordHash),
		Roles: deref(u.Roles), Disabled: deref(u.Disabled), Profile: u.Profile.object(),
	}
	if u.Password != nil && n.Password == "" {
		return fault.New(fault.Invalid, "the password is empty")
	}
	next, err := p.newUser(ctx, p.by, p.world, n)
	if err != nil {
		return err
	}
	p.admins = append(p.admins, next)
	p.add(planned{at: u.at, changes: added(u.at), do: func(ctx context.Context) error {
		_, err := p.AddUser(ctx, p.by, n)
		return err
	}, first: administers(next)})
	return nil
}

func (p *plan) planUserEdit(ctx context.Context, u declaredUser, old account.User) error {
	e := UserEdit{Name: u.Name, Login: &u.Login, Roles: u.Roles, Disabled: u.Disabled, Password: u.Password, Profile: u.Profile.object()}
	if old.PasswordHash == "" {
		e.PasswordHash = u.PasswordHash
	}
	next, err := p.editedUser(ctx, p.by, p.world, old, e)
	if err != nil {
		return err
	}
	p.admins = append(p.admins, next)
	changes := userChanges(old, next)
	if e.Password != nil {
		res, err := p.Passwords.Verify(ctx, password.Attempt{Encoded: old.PasswordHash, Password: *e.Password, Known: true})
		if err != nil {
			return busy(err, "compare password")
		}
		if res.OK {
			e.Password = nil
		} else {
			changes = append(changes, "password changed")
		}
	}
	p.add(planned{at: u.at, changes: about(u.at, changes), do: func(ctx context.Context) error {
		_, err := p.EditUser(ctx, p.by, old.ID, e)
		return err
	}, first: administers(next)})
	return nil
}

// checkAdmins refuses a set-up that leaves nobody who can administer, where there
// was somebody before.
func (p *plan) checkAdmins(ctx context.Context) error {
	taken := false
	for _, u := range p.admins {
		if administers(u) {
			return nil
		}
		old, found, err := p.Store.UserByID(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		taken = taken || found && administers(old)
	}
	if !taken {
		return nil
	}
	_, err := p.adminLeft(ctx, func(u account.User) bool {
		declared := slices.ContainsFunc(p.admins, func(d account.User) bool { return d.ID == u.ID })
		return !declared && administers(u)
	})
	return p.judge(at{name: "users"}, err)
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
