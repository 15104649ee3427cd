package admin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
)

// declaredOAuth is how a client speaks OAuth, as the set-up has it.
type declaredOAuth struct {
	members  json.RawMessage // of ClientEdit.OAuth
	JWKS     bool            // the keys are among them
	JWKSFile string          // or in a file
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *declaredOAuth) UnmarshalYAML(n *yaml.Node) error {
	known := append(sortedKeys(fieldsByName(reflect.TypeFor[client.OAuth]())), "jwks_file")
	if err := checkNames(n, known); err != nil {
		return err
	}
	var rest []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Value == "jwks_file" {
			if value.Kind != yaml.ScalarNode || value.Tag != "!!str" {
				return fmt.Errorf("line %d: cannot unmarshal jwks_file", value.Line)
			}
			o.JWKSFile = value.Value
			continue
		}
		o.JWKS = o.JWKS || name.Value == "jwks" && value.Tag != "!!null"
		rest = append(rest, name, value)
	}
	var err error
	o.members, err = jsonOf(&yaml.Node{Kind: yaml.MappingNode, Content: rest})
	return err
}

// addKeys takes the text of jwks_file for the keys.
func (o *declaredOAuth) addKeys(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(o.members, &members); err != nil {
		return err
	}
	members["jwks"] = text
	var err error
	o.members, err = json.Marshal(members)
	return err
}

func (o *declaredOAuth) object() json.RawMessage {
	if o == nil {
		return nil
	}
	return o.members
}

// declaredProfile is what a person told of themselves, as the set-up has it.
type declaredProfile struct{ members json.RawMessage }

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *declaredProfile) UnmarshalYAML(n *yaml.Node) (err error) {
	if err := checkNames(n, sortedKeys(fieldsByName(reflect.TypeFor[account.Profile]()))); err != nil {
		return err
	}
	numbersAsTexts(n)
	p.members, err = jsonOf(n)
	return err
}

// numbersAsTexts takes a year and a postal code for the texts that they are.
func numbersAsTexts(n *yaml.Node) {
	if n.Tag == "!!int" || n.Tag == "!!float" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		numbersAsTexts(c)
	}
}

func (p *declaredProfile) object() json.RawMessage {
	if p == nil {
		return nil
	}
	return p.members
}

// checkNames refuses a mapping with other names than these, in the words that
// yamlFault knows.
func checkNames(n *yaml.Node, known []string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: cannot unmarshal", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if name := n.Content[i]; !slices.Contains(known, name.Value) {
			return fmt.Errorf("line %d: field %s not found", name.Line, name.Value)
		}
	}
	return nil
}

// jsonOf writes YAML as JSON. What YAML takes for a date or a number of another base is
// a text, as it stands there.
func jsonOf(n *yaml.Node) (json.RawMessage, error) {
	switch n.Kind {
	case yaml.MappingNode:
		members := map[string]json.RawMessage{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			if _, twice := members[name.Value]; twice || name.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: key %q already defined", name.Line, name.Value)
			}
			value, err := jsonOf(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			members[name.Value] = value
		}
		return json.Marshal(members)
	case yaml.SequenceNode:
		items := []json.RawMessage{}
		for _, c := range n.Content {
			item, err := jsonOf(c)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return json.Marshal(items)
	}
	switch n.Tag {
	case "!!null":
		return json.RawMessage("null"), nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return json.RawMessage(strconv.FormatBool(b)), err
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return json.Marshal(i)
		}
	}
	return json.Marshal(n.Value)
}
