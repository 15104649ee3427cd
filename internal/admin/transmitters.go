package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/receiver"
)

type declaredTransmitter struct {
	at         at                `yaml:"-"`
	ID         string            `yaml:"id"`
	Issuer     *string           `yaml:"issuer"`
	JWKSURI    *string           `yaml:"jwks_uri"`
	JWKSFile   *string           `yaml:"jwks_file"`
	Audience   *string           `yaml:"audience"`
	Secret     *string           `yaml:"secret"`
	SecretFile *string           `yaml:"secret_file"`
	Subjects   *declaredSubjects `yaml:"subjects"`
	Disabled   *bool             `yaml:"disabled"`
	jwks       []byte
}

type declaredSubjects struct {
	By      string            `yaml:"by"`
	Domains []string          `yaml:"domains"`
	Users   map[string]string `yaml:"users"`
}

// planTransmitters compares who may tell us to end sessions with who may now.
func (p *plan) planTransmitters(ctx context.Context, d Declared) error {
	if len(d.transmitters) == 0 {
		return nil
	}
	all, err := p.Transmitters(ctx)
	if err != nil {
		return err
	}
	for _, t := range d.transmitters {
		// Whoever is trusted here can end anybody's sessions.
		if err := p.mayManage(ctx, p.by, t.ID, map[string][]string{api.Management: {"sessions:revoke"}}); err != nil {
			return err
		}
		old, found := transmitterOf(all, t.ID)
		next, err := p.nextTransmitter(t, old)
		if err != nil {
			if err := p.judge(t.at, err); err != nil {
				return err
			}
			continue
		}
		changes := added(t.at)
		if found {
			changes = about(t.at, transmitterChanges(old, next))
		}
		p.add(planned{at: t.at, changes: changes, do: func(ctx context.Context) error { return p.putTransmitter(ctx, p.by, next) }})
	}
	return nil
}

func transmitterOf(all []receiver.Transmitter, id string) (receiver.Transmitter, bool) {
	i := slices.IndexFunc(all, func(t receiver.Transmitter) bool { return t.ID == id })
	if i < 0 {
		return receiver.Transmitter{}, false
	}
	return all[i], true
}

func (s *Service) nextTransmitter(t declaredTransmitter, old receiver.Transmitter) (receiver.Transmitter, error) {
	next := old
	next.ID = t.ID
	assign(&next.Issuer, t.Issuer)
	assign(&next.Audience, t.Audience)
	assign(&next.Disabled, t.Disabled)
	if t.JWKSURI != nil {
		next.JWKSURI, next.JWKS = *t.JWKSURI, nil
	}
	if t.JWKSFile != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, t.jwks); err != nil {
			return receiver.Transmitter{}, fault.New(fault.Invalid, "jwks_file is not JSON")
		}
		next.JWKSURI, next.JWKS = "", compact.Bytes()
	}
	if t.Secret != nil {
		// It travels in a header, as the secret of a client does.
		odd := strings.ContainsFunc(*t.Secret, func(r rune) bool { return r <= ' ' || r >= 0x7f })
		if odd || len(*t.Secret) < 20 || len(*t.Secret) > 200 {
			return receiver.Transmitter{}, fault.New(fault.Invalid, "the secret has 20 to 200 visible ASCII characters")
		}
		next.Secret = receiver.SecretCode(s.Secrets, t.ID, *t.Secret)
	}
	if t.Subjects != nil {
		next.Subjects = receiver.Subjects{By: receiver.By(t.Subjects.By), Domains: set(t.Subjects.Domains), Users: t.Subjects.Users}
	}
	return next, next.Check()
}

func transmitterChanges(old, next receiver.Transmitter) []string {
	var d differences
	d.text("issuer", old.Issuer, next.Issuer)
	d.text("jwks_uri", old.JWKSURI, next.JWKSURI)
	d.flag(!bytes.Equal(old.JWKS, next.JWKS), false, "", "jwks changed")
	d.text("audience", old.Audience, next.Audience)
	d.flag(!old.Secret.Equal(next.Secret), false, "", "secret changed")
	d.text("subjects.by", string(old.Subjects.By), string(next.Subjects.By))
	d.list("subjects.domains", old.Subjects.Domains, next.Subjects.Domains)
	d.flag(!maps.Equal(old.Subjects.Users, next.Subjects.Users), false, "", "subjects.users changed")
	d.flag(old.Disabled, next.Disabled, "disabled", "enabled")
	return d
}

// Transmitters returns the servers that are trusted to end sessions, sorted by id.
func (s *Service) Transmitters(ctx context.Context) ([]receiver.Transmitter, error) {
	text, err := s.Store.Setting(ctx, receiver.Setting)
	if err != nil {
		return nil, fmt.Errorf("read transmitters: %w", err)
	}
	return receiver.Decode(text)
}

// putTransmitter adds or replaces one. It is audited before it is written: the line
// may stand for a change that did not come about, but none goes without.
func (s *Service) putTransmitter(ctx context.Context, by By, t receiver.Transmitter) error {
	for range attempts {
		old, err := s.Store.Setting(ctx, receiver.Setting)
		if err != nil {
			return fmt.Errorf("read transmitters: %w", err)
		}
		all, err := receiver.Decode(old)
		if err != nil {
			return err
		}
		before, found := transmitterOf(all, t.ID)
		changes := []string{t.Issuer}
		if found {
			changes = transmitterChanges(before, t)
			all = slices.DeleteFunc(all, func(one receiver.Transmitter) bool { return one.ID == t.ID })
		}
		next, err := receiver.Encode(append(all, t))
		if err != nil {
			return err
		}
		if err := s.Store.Audit(ctx, s.events(by, "transmitter.put", t.ID, changes)...); err != nil {
			return fmt.Errorf("write audit: %w", err)
		}
		done, err := s.Store.ChangeSetting(ctx, receiver.Setting, old, next)
		if err != nil {
			return wrap(err, "change transmitters")
		}
		if done {
			return nil
		}
	}
	return errOvertaken
}

// Obey is receiver.Config.Revoke: what another server asks for goes the way of every
// other revocation.
func (s *Service) Obey(ctx context.Context, r receiver.Revocation) error {
	_, err := s.Revoke(ctx, By{Actor: r.Actor, All: true}, Revocation{User: r.UserID, Session: r.SessionID, Reason: r.Reason, Once: r.Once})
	return err
}
