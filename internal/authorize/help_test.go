package authorize_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/authorize"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/revoke"
)

func queryOf(t *testing.T, uri string) url.Values {
	t.Helper()
	u, err := url.Parse(uri)
	must(t, err)
	return u.Query()
}

// answerOf is the answer by which a refusal goes back.
func answerOf(t *testing.T, err error) authorize.Answer {
	t.Helper()
	var r *authorize.Refused
	if !errors.As(err, &r) {
		t.Fatalf("not told to the client: %v", err)
	}
	return r.Answer
}

// claims are those of an ID token; nobody but tests reads one without checking it.
func claims(t testing.TB, text string) map[string]any {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var all map[string]any
	must(t, json.Unmarshal(raw, &all))
	return all
}

func (h *house) nonce(clientID, code string) string {
	h.t.Helper()
	tokens, err := h.tokens(clientID, code)
	must(h.t, err)
	s, _ := claims(h.t, tokens.IDToken)["nonce"].(string)
	return s
}

func (h *house) change(id string, edit func(*client.Client)) {
	h.t.Helper()
	c := h.client(id)
	edit(&c)
	done, err := h.store.ChangeClient(h.t.Context(), c, revoke.Effects{})
	must(h.t, err)
	if !done {
		h.t.Fatal("client not changed")
	}
}
