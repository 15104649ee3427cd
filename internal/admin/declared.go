package admin

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/wafer-auth/wafer/internal/fault"
)

// Declared is a set-up as read from a file, by itself without a mistake: every
// file it names was read. Apply compares it with what is registered.
type Declared struct {
	apis    []declaredAPI
	clients []declaredClient
	roles   []declaredRole
	users   []declaredUser
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
	Disabled     *bool                `yaml:"disabled"`
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
	tokens, err := tokensOf(text)
	if err != nil {
		return Declared{}, nil, err
	}
	file, tree, err := decode(tokens)
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
	return Declared{apis: file.APIs, clients: file.Clients, roles: file.Roles, users: file.Users}, r.warnings, nil
}

// stand is put in the place of colons that are part of a word while the text is
// split. It is of the private use area: no set-up needs it.
const stand = "\uE000"

// innerColon is a colon inside a word: one with no space, bracket or quote on
// either side.
var innerColon = regexp.MustCompile(`[^\s,\[\]{}"']:+[^\s,\[\]{}"':]`)

// tokensOf splits a text into YAML tokens. Inside braces the library takes the
// colon of a scope such as orders:read for that of a mapping; YAML 1.2 does so
// only where space follows (section 7.3.3), so the library does not get to see
// such colons. What no set-up needs is refused here: a few aliases can stand for a
// text of any size, and the library does not bound how deep it goes.
func tokensOf(text []byte) (token.Tokens, error) {
	if !utf8.Valid(text) || bytes.Contains(text, []byte(stand)) {
		return nil, fault.New(fault.Invalid, "The set-up is not UTF-8 text.")
	}
	hide := func(word []byte) []byte { return bytes.ReplaceAll(word, []byte(":"), []byte(stand)) }
	// Twice, because in a:b:c the first match takes the b.
	hidden := innerColon.ReplaceAllFunc(innerColon.ReplaceAllFunc(text, hide), hide)
	tokens := lexer.Tokenize(string(hidden))
	depth, entries, line := 0, 0, 0
	for _, t := range tokens {
		t.Value, t.Origin = strings.ReplaceAll(t.Value, stand, ":"), strings.ReplaceAll(t.Origin, stand, ":")
		if t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.AliasType, token.AnchorType, token.MergeKeyType, token.TagType, token.DirectiveType, token.MappingKeyType:
			return nil, fault.New(fault.Invalid, fmt.Sprintf("Set-up, line %d: anchors, aliases, tags, directives and complex keys are not supported.", line))
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType:
			entries++
		}
		if depth > maxNesting || entries > maxNesting {
			return nil, fault.New(fault.Invalid, fmt.Sprintf("Set-up, line %d: nested too deeply.", line))
		}
	}
	return tokens, nil
}

// decode reads the file from its tokens. The library panics on some texts.
func decode(tokens token.Tokens) (file declaredFile, tree *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fmt.Errorf("YAML library: %v", p), fault.Invalid, "The set-up is not YAML of the form that is documented.")
		}
	}()
	if tree, err = parser.Parse(tokens, 0); err != nil {
		return declaredFile{}, nil, yamlFault(err)
	}
	if len(tree.Docs) > 1 {
		return declaredFile{}, nil, fault.New(fault.Invalid, "The set-up holds more than one YAML document.")
	}
	if isEmpty(tree) {
		return declaredFile{}, tree, nil
	}
	if err := yaml.NodeToValue(tree.Docs[0].Body, &file, yaml.Strict()); err != nil {
		return declaredFile{}, nil, yamlFault(err)
	}
	return file, tree, nil
}

// isEmpty reports whether a file holds nothing but comments.
func isEmpty(tree *ast.File) bool {
	for _, doc := range tree.Docs {
		switch doc.Body.(type) {
		case nil, *ast.CommentGroupNode:
		default:
			return false
		}
	}
	return true
}

// yamlFault is the parser's message with its line, but without the text around
// it, which may hold a secret.
func yamlFault(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return fault.Wrap(err, fault.Invalid, "The set-up is not YAML of the form that is documented.")
	}
	line := 0
	if t := at.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	message := at.GetMessage()
	var kind *yaml.TypeError
	if errors.As(err, &kind) {
		message = "a value of this type does not belong here"
	}
	return fault.New(fault.Invalid, fmt.Sprintf("Set-up, line %d: %s.", line, message))
}

// listed is all problems as one refusal.
func listed(problems []string) error {
	return fault.New(fault.Invalid, "The set-up has mistakes; nothing was changed.\n"+strings.Join(problems, "\n"))
}

// place notes where everything stands.
func (f *declaredFile) place(tree *ast.File) {
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
}

func lineAt(lines []int, i int) int {
	if i < len(lines) {
		return lines[i]
	}
	return 0
}

// linesOf finds the first line of each element of the lists at the top.
func linesOf(tree *ast.File) map[string][]int {
	lines := map[string][]int{}
	for _, doc := range tree.Docs {
		top, ok := doc.Body.(ast.MapNode)
		if !ok {
			continue
		}
		for it := top.MapRange(); it.Next(); {
			list, ok := it.Value().(*ast.SequenceNode)
			if !ok {
				continue
			}
			for _, v := range list.Values {
				lines[it.Key().GetToken().Value] = append(lines[it.Key().GetToken().Value], firstLine(v))
			}
		}
	}
	return lines
}

// firstLine is where a node begins; that of a mapping is at its first key.
func firstLine(n ast.Node) int {
	if m, ok := n.(ast.MapNode); ok {
		if it := m.MapRange(); it.Next() {
			return it.Key().GetToken().Position.Line
		}
	}
	return n.GetToken().Position.Line
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
	return problems
}
