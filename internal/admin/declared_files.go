package admin

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// reader reads the files that a set-up names.
type reader struct {
	dir      string
	problems []string
	warnings []string
}

// files fills in what stands in files, and warns of what should.
func (r *reader) files(f *declaredFile) {
	for i := range f.APIs {
		a := &f.APIs[i]
		if a.Token == nil || a.Token.Encrypt == nil {
			continue
		}
		if a.Token.Encrypt.JWKFile == "" {
			r.problem(a.at, "token.encrypt needs jwk_file")
			continue
		}
		a.Token.Encrypt.jwk, _ = r.read(a.at, "jwk_file", a.Token.Encrypt.JWKFile)
	}
	for i := range f.Clients {
		c := &f.Clients[i]
		switch {
		case c.SecretFile != nil:
			c.Secret = r.secret(c.at, "secret_file", *c.SecretFile)
		case c.Secret != nil:
			r.warn(c.at, "a secret in the set-up is for development; use secret_file")
		}
		if c.OAuth != nil && c.OAuth.JWKSFile != "" {
			if text, _ := r.read(c.at, "oauth.jwks_file", c.OAuth.JWKSFile); text != nil {
				if err := c.OAuth.addKeys(text); err != nil {
					r.problem(c.at, "oauth.jwks_file "+c.OAuth.JWKSFile+" holds no JSON")
				}
			}
		}
	}
	for i := range f.Transmitters {
		t := &f.Transmitters[i]
		if t.JWKSFile != nil {
			t.jwks, _ = r.read(t.at, "jwks_file", *t.JWKSFile)
		}
		switch {
		case t.SecretFile != nil:
			t.Secret = r.secret(t.at, "secret_file", *t.SecretFile)
		case t.Secret != nil:
			r.warn(t.at, "a secret in the set-up is for development; use secret_file")
		}
	}
	for i := range f.Users {
		u := &f.Users[i]
		switch {
		case u.PasswordFile != nil:
			u.Password = r.secret(u.at, "password_file", *u.PasswordFile)
		case u.Password != nil:
			r.warn(u.at, "a password in the set-up is for development; use password_hash or password_file")
		}
	}
}

func (r *reader) problem(a at, what string) { r.problems = append(r.problems, a.say(what)) }
func (r *reader) warn(a at, what string)    { r.warnings = append(r.warnings, a.say(what)) }

// secret reads the first line of a file that nobody else should be able to read.
func (r *reader) secret(a at, field, name string) *string {
	text, mode := r.read(a, field, name)
	if text == nil {
		return nil
	}
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		r.problem(a, field+" "+name+" must hold exactly one line")
		return nil
	}
	if mode.Perm()&0o077 != 0 {
		r.warn(a, fmt.Sprintf("%s %s can be read by others (mode %04o)", field, name, mode.Perm()))
	}
	return &line
}

// read returns nil when there was a problem, which it notes.
func (r *reader) read(a at, field, name string) ([]byte, os.FileMode) {
	const most = 64 << 10
	if r.dir == "" {
		r.problem(a, field+" cannot be used here: this set-up did not come with a folder")
		return nil, 0
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		r.problem(a, field+": "+err.Error())
		return nil, 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		r.problem(a, field+" "+name+" is not a regular file")
		return nil, 0
	}
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(f, most+1)); err != nil || text.Len() > most {
		r.problem(a, field+" "+name+" cannot be read, or is longer than 64 KiB")
		return nil, 0
	}
	return append([]byte{}, text.Bytes()...), info.Mode()
}
