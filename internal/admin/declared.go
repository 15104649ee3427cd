package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/bound"
)

// Declared is a set-up as read from a file, by itself without a mistake: every
// file it names was read. Apply compares it with what is registered.
type Declared struct {
	apis    []declaredAPI
	clients []declaredClient
	roles   []declaredRole
	users   []declaredUser

	transmitters []declaredTransmitter
}

// at is where something stands in the file, and what to call it in messages.
type at struct {
	line int
	name string
}

func (a at) say(problem string) string {
	if a.line == 0 {
		return a.name + ": " + problem
	}
	return fmt.Sprintf("line %d: %s: %s", a.line, a.name, problem)
}

// declaredFile is the file, field by field. A field that is not there leaves
// what is registered as it is.
type declaredFile struct {
	APIs    []declaredAPI    `yaml:"apis"`
	Clients []declaredClient `yaml:"clients"`
	Roles   []declaredRole   `yaml:"roles"`
	Users   []declaredUser   `yaml:"users"`

	Transmitters []declaredTransmitter `yaml:"transmitters"`
}

type declaredAPI struct {
	at       at             `yaml:"-"`
	ID       string         `yaml:"id"`
	Name     *string        `yaml:"name"`
	Token    *declaredToken `yaml:"token"`
	Scopes   *[]string      `yaml:"scopes"`
	Stale    *string        `yaml:"stale"`
	Disabled *bool          `yaml:"disabled"`
}

type declaredToken struct {
	Format   *string          `yaml:"format"`
	Alg      *string          `yaml:"alg"`
	Lifetime *string          `yaml:"lifetime"`
	Encrypt  *declaredEncrypt `yaml:"encrypt"`
	Status   *bool            `yaml:"status_list"`
}

type declaredEncrypt struct {
	Alg     string `yaml:"alg"`
	Enc     string `yaml:"enc"`
	JWKFile string `yaml:"jwk_file"`
	jwk     []byte
}

type declaredClient struct {
	at           at                   `yaml:"-"`
	ID           string               `yaml:"id"`
	Name         *string              `yaml:"name"`
	Kind         *string              `yaml:"kind"`
	FirstParty   *bool                `yaml:"first_party"`
	Secret       *string              `yaml:"secret"`
	SecretFile   *string              `yaml:"secret_file"`
	RedirectURIs *[]string            `yaml:"redirect_uris"`
	Origins      *[]string            `yaml:"origins"`
	Grants       *[]string            `yaml:"grants"`
	APIs         *map[string][]string `yaml:"apis"`
	Serves       *[]string            `yaml:"serves"`
	Bind         *declaredBind        `yaml:"bind"`

	BackchannelLogoutURI     *string `yaml:"backchannel_logout_uri"`
	BackchannelLogoutSession *bool   `yaml:"backchannel_logout_session_required"`

	OAuth    *declaredOAuth `yaml:"oauth"`
	Disabled *bool          `yaml:"disabled"`
}

type declaredBind struct {
	Network bound.Mode `yaml:"network"`
	Device  bound.Mode `yaml:"device"`
}

type declaredRole struct {
	at     at                   `yaml:"-"`
	ID     string               `yaml:"id"`
	Scopes *map[string][]string `yaml:"scopes"`
}

type declaredUser struct {
	at           at        `yaml:"-"`
	Login        string    `yaml:"login"`
	Name         *string   `yaml:"name"`
	Password     *string   `yaml:"password"`
	PasswordFile *string   `yaml:"password_file"`
	PasswordHash *string   `yaml:"password_hash"`
	Roles        *[]string `yaml:"roles"`
	Disabled     *bool     `yaml:"disabled"`

	Profile *declaredProfile `yaml:"profile"`
}

// What is read at most: bytes, and brackets within brackets.
const (
	maxDeclared = 1 << 20
	maxNesting  = 16
)

// ParseDeclared reads a set-up in YAML. Unknown and double fields are refused,
// with their line. Files it names are looked for in dir and read here; with an
// empty dir a set-up that names files is refused, so that a text from afar cannot
// have local files read. Warnings are for the person who wrote the set-up.
func ParseDeclared(text []byte, dir string) (d Declared, warnings []string, err error) {
	if len(text) > maxDeclared {
		return Declared{}, nil, fault.New(fault.TooLarge, "The set-up is longer than 1 MiB.")
	}
	file, tree, err := decode(text)
	if err != nil {
		return Declared{}, nil, err
	}
	file.place(tree)
	problems := file.check()
	r := reader{dir: dir}
	r.files(&file)
	problems = append(problems, r.problems...)
	if len(problems) > 0 {
		return Declared{}, nil, listed(problems)
	}
	return Declared{
		apis: file.APIs, clients: file.Clients, roles: file.Roles, users: file.Users, transmitters: file.Transmitters,
	}, r.warnings, nil
}

// decode reads the file, and where everything stands in it. tree is nil for a
// file that holds nothing but comments.
func decode(text []byte) (file declaredFile, tree *yaml.Node, err error) {
	tree, err = parse(text)
	if err != nil || tree == nil {
		return declaredFile{}, nil, err
	}
	if err := plain(tree, 0); err != nil {
		return declaredFile{}, nil, err
	}
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&file); err != nil {
		return declaredFile{}, nil, yamlFault(err)
	}
	return file, tree, nil
}

// parse returns what is at the top of the one document.
func parse(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, yamlFault(err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "The set-up holds more than one YAML document.")
	}
	return doc.Content[0], nil
}

// plain refuses what no set-up needs: a few aliases can stand for a text of any
// size, a tag can make a value into another than it looks.
func plain(n *yaml.Node, depth int) error {
	if depth > maxNesting {
		return fault.New(fault.Invalid, fmt.Sprintf("Set-up, line %d: nested too deeply.", n.Line))
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return fault.New(fault.Invalid, fmt.Sprintf("Set-up, line %d: anchors, aliases and tags are not supported.", n.Line))
	}
	for _, c := range n.Content {
		if err := plain(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// What the library says of a mistake, as far as it holds nothing of the text
// around it, which may be a secret.
var (
	yamlLine    = regexp.MustCompile(`line (\d+)`)
	yamlUnknown = regexp.MustCompile(`field (\S{1,60}) not found`)
	yamlTwice   = regexp.MustCompile(`key ("\S{1,60}") already defined`)
)

// yamlFault is the parser's complaint with its line.
func yamlFault(err error) error {
	text, line, what := err.Error(), "", "not YAML of the form that is documented"
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line = ", line " + m[1]
	}
	switch unknown, twice := yamlUnknown.FindStringSubmatch(text), yamlTwice.FindStringSubmatch(text); {
	case unknown != nil:
		what = fmt.Sprintf("unknown field %q", unknown[1])
	case twice != nil:
		what = "key " + twice[1] + " is there twice"
	case strings.Contains(text, "exceeded max"):
		what = "nested too deeply"
	case strings.Contains(text, "cannot unmarshal"):
		what = "a value of this type does not belong here"
	}
	return fault.New(fault.Invalid, "Set-up"+line+": "+what+".")
}

// listed is all problems as one refusal.
func listed(problems []string) error {
	return fault.New(fault.Invalid, "The set-up has mistakes; nothing was changed.\n"+strings.Join(problems, "\n"))
}

// place notes where everything stands.
func (f *declaredFile) place(tree *yaml.Node) {
	lines := linesOf(tree)
	for i := range f.APIs {
		f.APIs[i].at = at{lineAt(lines["apis"], i), "api " + f.APIs[i].ID}
	}
	for i := range f.Clients {
		f.Clients[i].at = at{lineAt(lines["clients"], i), "client " + f.Clients[i].ID}
	}
	for i := range f.Roles {
		f.Roles[i].at = at{lineAt(lines["roles"], i), "role " + f.Roles[i].ID}
	}
	for i := range f.Users {
		f.Users[i].at = at{lineAt(lines["users"], i), "user " + f.Users[i].Login}
	}
	for i := range f.Transmitters {
		f.Transmitters[i].at = at{lineAt(lines["transmitters"], i), "transmitter " + f.Transmitters[i].ID}
	}
}

func lineAt(lines []int, i int) int {
	if i < len(lines) {
		return lines[i]
	}
	return 0
}

// linesOf finds the first line of each element of the lists at the top.
func linesOf(top *yaml.Node) map[string][]int {
	lines := map[string][]int{}
	if top == nil || top.Kind != yaml.MappingNode {
		return lines
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		name, list := top.Content[i].Value, top.Content[i+1]
		for _, v := range list.Content {
			lines[name] = append(lines[name], v.Line)
		}
	}
	return lines
}

// check finds what is wrong with the file alone.
func (f *declaredFile) check() []string {
	var problems []string
	seen := map[string]bool{}
	named := func(a at, id, field string) {
		switch {
		case id == "":
			problems = append(problems, a.say(field+" is missing"))
		case seen[a.name]:
			problems = append(problems, a.say("is declared twice"))
		}
		seen[a.name] = true
	}
	for _, a := range f.APIs {
		named(a.at, a.ID, "id")
	}
	for _, c := range f.Clients {
		named(c.at, c.ID, "id")
		if c.Secret != nil && c.SecretFile != nil {
			problems = append(problems, c.at.say("has both secret and secret_file"))
		}
		if c.OAuth != nil && c.OAuth.JWKSFile != "" && c.OAuth.JWKS {
			problems = append(problems, c.at.say("has both oauth.jwks and oauth.jwks_file"))
		}
	}
	for _, r := range f.Roles {
		named(r.at, r.ID, "id")
	}
	for _, u := range f.Users {
		named(u.at, u.Login, "login")
		given := 0
		for _, p := range []*string{u.Password, u.PasswordFile, u.PasswordHash} {
			if p != nil {
				given++
			}
		}
		if given > 1 {
			problems = append(problems, u.at.say("has more than one of password, password_file and password_hash"))
		}
	}
	for _, t := range f.Transmitters {
		named(t.at, t.ID, "id")
		if t.Secret != nil && t.SecretFile != nil {
			problems = append(problems, t.at.say("has both secret and secret_file"))
		}
		if t.JWKSURI != nil && t.JWKSFile != nil {
			problems = append(problems, t.at.say("has both jwks_uri and jwks_file"))
		}
	}
	return problems
}
