package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/limit"
	"github.com/wafer-auth/wafer/internal/oidc"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/verify/jose"
)

// The rules of Client ID Metadata Documents. What did not work is never kept: the next
// request asks again.
const (
	mostDocument  = 5 << 10
	documentLeast = 5 * time.Minute
	documentMost  = 24 * time.Hour
	documentTime  = 5 * time.Second
	mostFlights   = 16   // documents that are fetched at once
	mostFresh     = 4096 // beyond it all are fetched again
)

// documents knows which clients are as their documents say.
type documents struct {
	mu      sync.Mutex
	fresh   map[string]time.Time // until when
	flights map[string]*flight
}

// flight is a fetch under way, for all who wait for it.
type flight struct {
	done chan struct{}
	err  error // to be read when done is closed
}

func newDocuments() documents {
	return documents{fresh: map[string]time.Time{}, flights: map[string]*flight{}}
}

// errDocument tells nothing of what an address answered: it may be one that only this
// server reaches.
var errDocument = refuse(oidc.InvalidClient, "The metadata document of the client cannot be read: the client id must be the address of a JSON document of at most 5 KiB, public and without redirects.")

// RefreshDocument sees to it that a client whose id is an address is registered as the
// document there says (OAuth Client ID Metadata Document). Other ids are left alone,
// and so are disabled clients. A refusal is an *oidc.Error.
func (s *Service) RefreshDocument(ctx context.Context, id string) error {
	if !s.describesItself(id) {
		return nil
	}
	c, found, err := s.Store.ClientByID(ctx, id)
	if err != nil {
		return fmt.Errorf("find client: %w", err)
	}
	if found && c.Disabled {
		return nil
	}
	f, err := s.flight(ctx, id, found)
	if f == nil || err != nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// describesItself reports whether an id is an address that is looked at.
func (s *Service) describesItself(id string) bool {
	if !s.Registration.Documents || s.Registration.Fetch == nil || client.CheckDocumentID(id) != nil {
		return false
	}
	return strings.HasPrefix(id, "https://") || s.Registration.Loopback
}

// flight returns the fetch of a document, started if need be; nil when what is known
// is fresh. known says that the client is there: it may have been removed.
func (s *Service) flight(ctx context.Context, id string, known bool) (*flight, error) {
	d := &s.documents
	d.mu.Lock()
	defer d.mu.Unlock()
	if known && s.Now().Before(d.fresh[id]) {
		return nil, nil
	}
	if f, ok := d.flights[id]; ok {
		return f, nil
	}
	if len(d.flights) >= mostFlights {
		return nil, fault.New(fault.Busy, "Too many applications are being looked up right now. Try again in a moment.").Retry(time.Second)
	}
	f := &flight{done: make(chan struct{})}
	d.flights[id] = f
	go s.land(context.WithoutCancel(ctx), id, f) // whoever asked first may leave; others wait for it
	return f, nil
}

func (s *Service) land(ctx context.Context, id string, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, documentTime)
	defer cancel()
	age, err := s.readDocument(ctx, id)
	d := &s.documents
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flights, id)
	delete(d.fresh, id)
	if err == nil {
		if len(d.fresh) >= mostFresh {
			clear(d.fresh)
		}
		d.fresh[id] = s.Now().Add(age)
	}
	f.err = err
	close(f.done)
}

// readDocument fetches a document and registers what it says. It returns how long that
// may be taken for the truth.
func (s *Service) readDocument(ctx context.Context, id string) (time.Duration, error) {
	doc, err := s.Registration.Fetch(ctx, id, mostDocument)
	if err == nil && doc.Type != "application/json" {
		err = errors.New("the answer is not application/json")
	}
	if err == nil {
		err = isOwn(id, doc.Body)
	}
	if err != nil {
		s.unread(ctx, id, err)
		return 0, errDocument
	}
	c, err := s.documented(ctx, id, doc.Body)
	if err != nil {
		return 0, inClient(err)
	}
	if err := s.keepDocument(ctx, c); err != nil {
		return 0, inClient(inMetadata(id, err))
	}
	return min(max(doc.MaxAge, documentLeast), documentMost), nil
}

// isOwn wants the document to name its own address: another one's document is not to
// be passed off as one's own.
func isOwn(id string, body []byte) error {
	members, err := jose.Members(body)
	if err != nil {
		return errors.New("the document is not one JSON object without repeated members")
	}
	for _, m := range members {
		var text string
		if m.Name == "client_id" && json.Unmarshal(m.Value, &text) == nil && text == id {
			return nil
		}
	}
	return errors.New("the document does not name its own address as client_id")
}

// documented makes a client of a document. Nothing in it may be secret: everybody can
// read it.
func (s *Service) documented(ctx context.Context, id string, body []byte) (client.Client, error) {
	members, err := jose.Members(body)
	if err != nil {
		return client.Client{}, err
	}
	method := client.AuthNone
	for _, m := range members {
		switch m.Name {
		case "client_secret", "client_secret_expires_at":
			return client.Client{}, badMetadata(m.Name + " does not belong into a document that everybody can read.")
		case "token_endpoint_auth_method":
			_ = json.Unmarshal(m.Value, &method) // describe refuses what is no text
		}
	}
	if method != client.AuthNone && method != client.AuthPrivateKeyJWT {
		return client.Client{}, badMetadata("token_endpoint_auth_method must be none or private_key_jwt.")
	}
	c, err := s.describe(ctx, body, true)
	if err != nil {
		return client.Client{}, err
	}
	c.ID, c.Source, c.OAuth.AuthMethod = id, client.ByDocument, method
	if method == client.AuthNone {
		c.Kind = client.Public
	}
	if c.OAuth.Profile != client.FAPI2 {
		c.OAuth.Profile = "" // who goes without PKCE was registered to do so
	}
	if c.Name == "" {
		c.Name = hostOf(id)
	}
	return c, nil
}

// keepDocument writes what a document says, if that is something new.
func (s *Service) keepDocument(ctx context.Context, c client.Client) error {
	by := By{Actor: c.ID}
	for range attempts {
		old, found, err := s.Store.ClientByID(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("find client: %w", err)
		}
		if !found {
			if err = s.addDocument(ctx, by, c); fault.Is(err, fault.Conflict) {
				continue // another node did
			}
			return err
		}
		if old.Disabled {
			return nil
		}
		_, done, err := s.replaceClient(ctx, by, change{old: old, next: redescribed(old, c)})
		if err != nil || done {
			return err
		}
	}
	return errOvertaken
}

func (s *Service) addDocument(ctx context.Context, by By, c client.Client) error {
	c, err := s.newClient(ctx, by, s.world(), NewClient{Client: c})
	if err != nil {
		return err
	}
	// Whoever owns a domain has any number of addresses, and each leaves a row.
	if err := s.slowed(ctx, []limit.Rule{
		{Key: "document/" + hostOf(c.ID), Free: 20, Base: time.Second, Max: time.Minute, Forget: 10 * time.Minute},
		{Key: "document/all", Free: 1000, Base: time.Second, Max: time.Minute, Forget: time.Hour},
	}); err != nil {
		return err
	}
	fx := revoke.Effects{Audit: s.events(by, "client.register", c.ID, []string{"described by its document"})}
	return wrap(s.Store.AddClient(ctx, c, fx), "add client")
}

// inClient says of a client what is wrong with its metadata: nobody is registering.
func inClient(err error) error {
	var why *oidc.Error
	if !errors.As(err, &why) {
		return err
	}
	return refuse(oidc.InvalidClient, "The metadata document of the client: "+why.Description)
}

func hostOf(id string) string {
	u, err := url.Parse(id)
	if err != nil {
		return ""
	}
	return u.Host
}
