package grpcauth

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/wafer-auth/wafer/verify"
)

// Rule says what a method needs. Require, RequireOnce and Public make one; the zero Rule says
// nothing, and New panics on it.
type Rule struct {
	admits   admits
	scopes   []string
	verifier *verify.Verifier // nil: that of the Auth
}

type admits int

const (
	nobody admits = iota
	anybody
	holders
	holdersOnce
)

// Public lets everybody call a method. A credential is not looked at.
func Public() Rule { return Rule{admits: anybody} }

// Require lets those call a method whose credential is good and holds every scope.
// It panics on a scope that no token can hold (RFC 6749 section 3.3).
func Require(scopes ...string) Rule {
	for _, s := range scopes {
		if !verify.ValidScope(s) {
			panic("grpcauth: not a scope: " + strconv.QuoteToASCII(s))
		}
	}
	return Rule{admits: holders, scopes: slices.Clone(scopes)}
}

// RequireOnce is Require for a method on which a token counts once: a payment, a deletion. Of any
// number of times that a token is shown, at any number of services, one is served. It asks the
// issuer each time, after everything else was checked.
func RequireOnce(scopes ...string) Rule {
	r := Require(scopes...)
	r.admits = holdersOnce
	return r
}

// By has another verifier check the credential: one with another policy, v.Under(verify.Strict),
// or one for another audience. It panics when there is nothing to check.
func (r Rule) By(v *verify.Verifier) Rule {
	if v == nil || r.admits < holders {
		panic("grpcauth: By is for a verifier and a rule that requires something")
	}
	r.verifier = v
	return r
}

// checked gives the rules as they are used. It panics on what cannot be meant.
func checked(methods map[string]Rule, v *verify.Verifier) map[string]Rule {
	all := make(map[string]Rule, len(methods))
	for name, r := range methods {
		if !isMethod(name) {
			panic("grpcauth: not the full name of a method, /package.Service/Method: " + strconv.QuoteToASCII(name))
		}
		if r.admits == nobody {
			panic("grpcauth: the rule of " + name + " says nothing: use Require, RequireOnce or Public")
		}
		if r.verifier == nil {
			r.verifier = v
		}
		all[name] = r
	}
	return all
}

func isMethod(name string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return ok && name[0] == '/' && service != "" && method != "" && !strings.Contains(method, "/")
}

// Covers compares the rules with what a server serves, for the start of a program: the error names
// every method without a rule, which is refused, and every rule without a method, which may be
// misspelled. Call it with GetServiceInfo of the server when all services are registered.
func (a *Auth) Covers(services map[string]grpc.ServiceInfo) error {
	var wrong []string
	served := map[string]bool{}
	for service, info := range services {
		for _, m := range info.Methods {
			name := "/" + service + "/" + m.Name
			served[name] = true
			if _, ok := a.rules[name]; !ok {
				wrong = append(wrong, name+" has no rule")
			}
		}
	}
	for name := range a.rules {
		if !served[name] {
			wrong = append(wrong, name+" has a rule and is not served")
		}
	}
	slices.Sort(wrong)
	var errs []error
	for _, w := range wrong {
		errs = append(errs, fmt.Errorf("grpcauth: %s", w))
	}
	return errors.Join(errs...)
}
