package split

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/audit"
	"github.com/wafer-auth/wafer/internal/fault"
)

// setting is the name the layout has among the truth's settings.
const setting = "sessions layout"

// stage is how far a move is, see the package's picture.
type stage string

const (
	settled   stage = "settled"
	announced stage = "announced"
	moving    stage = "moving"
)

// box is a URL, sealed. "" is the truth's own table.
type box string

// layout says where sessions live. It is changed by compare and swap only. Each
// change of Stage, Home or Target raises Revision; the rest is news for people.
type layout struct {
	Revision int64         `json:"revision"`
	Stage    stage         `json:"stage"`
	Home     box           `json:"home"`             // where sessions are, or are moving from
	Target   box           `json:"target,omitempty"` // where they are moving to, unless settled
	Past     *past         `json:"past,omitempty"`   // the last move that was completed
	Longest  time.Duration `json:"longest"`          // the longest absolute limit any node ever had
	Total    int64         `json:"total,omitempty"`  // how many there were when moving began
	Trouble  string        `json:"trouble,omitempty"`
	Mover    claim         `json:"mover,omitzero"`
}

type past struct {
	Home  box   `json:"home"` // what they were moved from
	Total int64 `json:"total"`
}

// claim says who moves records. It spares work and nothing else: two at once do
// no harm, so the clocks of two nodes may well disagree about its end.
type claim struct {
	Node  string    `json:"node"`
	Until time.Time `json:"until"`
}

func (s *Store) seal(raw string) box {
	if raw == "" {
		return ""
	}
	return box(base64.RawURLEncoding.EncodeToString(s.c.Seal.Seal([]byte(raw), setting)))
}

func (s *Store) unseal(b box) (string, error) {
	if b == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(b))
	if err != nil {
		return "", fmt.Errorf("layout of sessions: %w", err)
	}
	plain, err := s.c.Seal.Open(raw, setting)
	if err != nil {
		return "", fmt.Errorf("layout of sessions: %w", err)
	}
	return string(plain), nil
}

func encode(l layout) (string, error) {
	raw, err := json.Marshal(l)
	return string(raw), err
}

func decode(raw string) (l layout, err error) {
	if raw == "" {
		return l, errors.New("the layout of sessions is not there any more")
	}
	if err := json.Unmarshal([]byte(raw), &l); err != nil {
		return l, fmt.Errorf("layout of sessions: %w", err)
	}
	switch l.Stage {
	case settled, announced, moving:
		return l, nil
	}
	return l, fmt.Errorf("layout of sessions: unknown stage %q", l.Stage)
}

// record writes the layout at the first start, and holds what an operator asked
// for against it at every later one.
func (s *Store) record(ctx context.Context) error {
	there, err := s.Truth.Setting(ctx, setting)
	if err == nil && there == "" {
		err = s.recordFirst(ctx)
	}
	if err != nil {
		return fmt.Errorf("read where sessions live: %w", err)
	}
	return s.swap(ctx, s.reconcile)
}

// recordFirst records what was asked for, unless sessions live in the truth's own
// table already: they would be lost without a word.
func (s *Store) recordFirst(ctx context.Context) error {
	l := layout{Revision: 1, Stage: settled, Longest: s.c.Longest}
	if s.c.Sessions != "" {
		n, err := s.Truth.Sessions().Count(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			l.Home = s.seal(s.c.Sessions)
		}
	}
	if l.Home != "" {
		s.reading.Lock()
		_, err := s.lodge(ctx, s.c.Sessions)
		s.reading.Unlock()
		if err != nil {
			return fmt.Errorf("open %s: %w", label(s.c.Sessions), err)
		}
	}
	raw, err := encode(l)
	if err != nil {
		return err
	}
	_, err = s.Truth.PutOnce(ctx, setting, raw)
	return err
}

// reconcile makes the recorded layout and the operator's wish one, or refuses.
func (s *Store) reconcile(l *layout) error {
	// A node with a shorter limit ends sessions that one with a longer limit began.
	l.Longest = max(l.Longest, s.c.Longest)
	if s.c.Sessions == "" {
		return nil
	}
	boxes := []*box{&l.Home}
	if l.Stage != settled {
		boxes = append(boxes, &l.Target)
	}
	var named []string
	for _, b := range boxes {
		there, err := s.unseal(*b)
		if err != nil {
			return err
		}
		if there == s.c.Sessions {
			return nil
		}
		if place(there) == place(s.c.Sessions) { // only the password is another
			*b = s.seal(s.c.Sessions)
			l.Revision++
			return nil
		}
		named = append(named, label(there))
	}
	where := strings.Join(named, " and ")
	if l.Past != nil {
		before, err := s.unseal(l.Past.Home)
		if err != nil {
			return err
		}
		if place(before) == place(s.c.Sessions) {
			s.c.Log.Warn("sessions were moved: change the setting that still names their old home",
				"named", label(s.c.Sessions), "used", where)
			return nil
		}
	}
	return fault.New(fault.Conflict, fmt.Sprintf("Sessions are kept in %s, not in %s. A changed setting alone would sign everybody out: "+
		"set it back, start, and run `wafer session move --to %s`.", where, label(s.c.Sessions), label(s.c.Sessions)))
}

// swap changes the layout by compare and swap.
func (s *Store) swap(ctx context.Context, edit func(*layout) error) error {
	for range 20 {
		old, err := s.Truth.Setting(ctx, setting)
		if err != nil {
			return err
		}
		l, err := decode(old)
		if err != nil {
			return err
		}
		if err := edit(&l); err != nil {
			return err
		}
		next, err := encode(l)
		if err != nil || next == old {
			return err
		}
		done, err := s.Truth.ChangeSetting(ctx, setting, old, next)
		if err != nil || done {
			return err
		}
	}
	return fault.New(fault.Conflict, "Where sessions live is being changed by somebody else. Try again.")
}

// advance is swap for a layout that must still be the one v shows.
func (s *Store) advance(ctx context.Context, v *view, edit func(*layout)) error {
	return s.swap(ctx, func(l *layout) error {
		if l.Revision != v.Revision {
			return fault.New(fault.Conflict, "Where sessions live was changed meanwhile.")
		}
		edit(l)
		return nil
	})
}

// place is what a URL names, whoever asks for it.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.User = nil
	return u.String()
}

// label is a URL that may be shown: without its password and its options.
func label(raw string) string {
	if raw == "" {
		return "the database"
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "(a home whose URL cannot be read)"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

// hide takes the passwords of URLs out of a text that came from somewhere else.
func hide(text string, urls ...string) string {
	for _, raw := range urls {
		if raw == "" {
			continue
		}
		text = strings.ReplaceAll(text, raw, label(raw))
		u, err := url.Parse(raw)
		if err != nil || u.User == nil {
			continue
		}
		if secret, set := u.User.Password(); set && secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return audit.Clip(text)
}
