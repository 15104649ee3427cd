package feed

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
	"github.com/wafer-auth/wafer/verify/revocation"
)

// ticketLife is how long a ticket is good for. Log entries are kept for longer,
// so that one that ends a ticket is still there as long as the ticket is.
const ticketLife = 24 * time.Hour

// ticket is what a verifier shows instead of its client's secret, at any hub.
type ticket struct {
	Issuer   string `json:"iss"`
	Verifier string `json:"sub"`
	ClientID string `json:"client_id"`
	Epoch    int64  `json:"ep"`
	RSN      int64  `json:"rsn"`  // read no later than what allowed the client in
	Head     int64  `json:"head"` // the log had come so far: proof of it
	Relay    bool   `json:"relay,omitempty"`
	Secrets  string `json:"sec"` // which secrets the verifier was given
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`

	kid string
}

// refs are what a ticket hangs from.
func (t *ticket) refs() []revoke.Ref {
	return []revoke.Ref{{Kind: revoke.Client, Key: t.ClientID}, {Kind: revoke.Key, Key: t.kid}}
}

// secrets names the secrets of the feed, and tells nothing of them.
func (h *Hub) secrets() string {
	code := sha256.Sum256(append(h.Secret[:len(h.Secret):len(h.Secret)], h.LeaseKey("")...))
	return jose.EncodeSegment(code[:12])
}

// sign makes the ticket's text.
func (h *Hub) sign(t ticket) (string, error) {
	key, ok := h.Signer()
	if !ok {
		return "", fault.New(fault.Unavailable, "There is no key to sign with yet.")
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return jose.Sign(key, jose.Header{Type: revocation.TicketType}, payload)
}

// errTicket is the one refusal of a ticket, whatever is wrong with it.
func errTicket(cause string) error {
	return fault.Wrap(errors.Join(revocation.ErrRefused, errors.New(cause)), fault.Unauthenticated, "The ticket is not valid: register again.")
}

// open returns what a ticket says, if it holds at this moment.
func (h *Hub) open(ctx context.Context, text string) (*ticket, error) {
	t, known, generation := h.tickets.find(text)
	if !known {
		var err error
		if t, err = h.parseTicket(text); err != nil {
			return nil, err
		}
	}
	if h.Now().Unix() >= t.Expires {
		return nil, errTicket("it has run out")
	}
	if h.tickets.denies(t.ClientID) {
		return nil, errTicket("its client may not follow the feed any more")
	}
	if h.state.covers(t.RSN, t.refs()) {
		return nil, errTicket("its client or key was taken back")
	}
	if known {
		return t, nil
	}
	// What came before this hub began, only the store knows.
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, covered, err := h.Covered(brief, t.RSN, t.refs())
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The ticket cannot be checked now.")
	}
	if covered {
		return nil, errTicket("its client or key was taken back")
	}
	h.tickets.keep(text, t, generation)
	return t, nil
}

// parseTicket checks what a ticket shows by itself.
func (h *Hub) parseTicket(text string) (*ticket, error) {
	m, err := jose.Parse(text, jose.Limits{})
	if err != nil {
		return nil, errTicket("it has no form")
	}
	if m.Header.Type != revocation.TicketType || m.Header.Algorithm != jose.EdDSA && m.Header.Algorithm != jose.Ed25519 {
		return nil, errTicket("it is of another type")
	}
	key, ok := h.Config.Keys().Find(m.Header.KeyID, m.Header.Algorithm)
	if !ok {
		return nil, errTicket("its key is not known")
	}
	payload, err := m.Verify(key)
	if err != nil {
		return nil, errTicket("its signature does not match")
	}
	t := &ticket{kid: m.Header.KeyID}
	if err := json.Unmarshal(payload, t); err != nil {
		return nil, errTicket("it cannot be read")
	}
	if t.Secrets != h.secrets() {
		return nil, errTicket("the feed's secrets are others now")
	}
	if t.Issuer != h.Issuer || !opaque.IsID(verifierID, t.Verifier) || t.ClientID == "" {
		return nil, errTicket("it is another issuer's")
	}
	return t, nil
}

// ticketsMost is how many checked tickets half a cache keeps.
const ticketsMost = 20_000

// tickets keeps tickets whose signature was checked, by their text, and the
// clients that may not follow any more. The zero value is ready.
type tickets struct {
	mu         sync.Mutex
	generation int
	young, old map[string]*ticket
	denied     map[string]bool
}

func (c *tickets) find(text string) (t *ticket, ok bool, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok = c.young[text]; !ok {
		if t, ok = c.old[text]; ok {
			c.put(text, t)
		}
	}
	return t, ok, c.generation
}

// keep remembers a ticket, unless all was forgotten since its generation.
func (c *tickets) keep(text string, t *ticket, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.put(text, t)
	}
}

func (c *tickets) put(text string, t *ticket) {
	if c.young == nil || len(c.young) >= ticketsMost {
		c.young, c.old = map[string]*ticket{}, c.young
	}
	c.young[text] = t
}

// forget makes every ticket be checked anew.
func (c *tickets) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.young, c.old = nil, nil
}

// clients lists whose tickets were seen of late.
func (c *tickets) clients() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]bool{}
	for _, half := range []map[string]*ticket{c.young, c.old} {
		for _, t := range half {
			all[t.ClientID] = true
		}
	}
	return all
}

func (c *tickets) deny(clientID string, denied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !denied {
		delete(c.denied, clientID)
		return
	}
	if c.denied == nil {
		c.denied = map[string]bool{}
	}
	c.denied[clientID] = true
}

func (c *tickets) denies(clientID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied[clientID]
}
