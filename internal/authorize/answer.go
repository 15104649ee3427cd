package authorize

import (
	"errors"
	"net/url"
	"strings"

	"github.com/wafer-auth/wafer/internal/oidc"
)

// Field is one parameter of an answer.
type Field struct{ Name, Value string }

// Answer goes back to the client, by way of the browser.
type Answer struct {
	To     string // the redirect URI, registered for the client
	Mode   string // oidc.Query or oidc.FormPost
	Fields []Field
}

// URL is where the browser is sent with a Query answer. What stands in the query of
// the redirect URI stays as it is (RFC 6749 section 3.1.2).
func (a Answer) URL() string {
	var b strings.Builder
	b.WriteString(a.To)
	next := byte('?')
	if strings.Contains(a.To, "?") {
		next = '&'
	}
	for _, f := range a.Fields {
		b.WriteByte(next)
		b.WriteString(url.QueryEscape(f.Name) + "=" + url.QueryEscape(f.Value))
		next = '&'
	}
	return b.String()
}

// Refused is a refusal that the client is told of (RFC 6749 section 4.1.2.1).
type Refused struct {
	Answer Answer
	Cause  *oidc.Error
}

// Error is for logs.
func (r *Refused) Error() string { return r.Cause.Error() }

// Unwrap gives the cause to errors.As.
func (r *Refused) Unwrap() error { return r.Cause }

// answer is what every answer to r has: the state as it came, and who answers (RFC
// 9207), so that a client of several servers cannot be led to take it for another's.
func (s *Service) answer(r oidc.Request, fields ...Field) Answer {
	if r.State != "" {
		fields = append(fields, Field{"state", r.State})
	}
	return Answer{To: r.RedirectURI, Mode: r.Mode, Fields: append(fields, Field{"iss", s.Issuer})}
}

func (s *Service) refusal(r oidc.Request, why *oidc.Error) Answer {
	return s.answer(r, Field{"error", why.Code}, Field{"error_description", plainly(why.Description)})
}

// back turns a refusal into one that the client is told of; what is none stays what
// it is.
func (s *Service) back(r oidc.Request, err error) error {
	var why *oidc.Error
	if !errors.As(err, &why) {
		return err
	}
	return &Refused{Answer: s.refusal(r, why), Cause: why}
}

// plainly keeps to the characters of error_description (RFC 6749 section 4.1.2.1).
func plainly(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, text)
}
