package admin

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

// patched returns old with the members of a JSON object in place of those of the same
// name; null takes one away. T is a struct with json tags. What has no such name, is
// there twice or has the wrong type is refused with its name. what is what to call
// the object.
func patched[T any](old T, object json.RawMessage, what string) (T, error) {
	if len(object) == 0 {
		return old, nil
	}
	members, err := jose.Members(object)
	if err != nil {
		return old, fault.New(fault.Invalid, what+" must be one JSON object without repeated members.")
	}
	next := old
	fields := fieldsByName(reflect.TypeFor[T]())
	var unknown []string
	for _, m := range members {
		i, ok := fields[m.Name]
		if !ok {
			unknown = append(unknown, m.Name)
			continue
		}
		field := reflect.ValueOf(&next).Elem().Field(i)
		// A new value: what old shares with others must not change under them.
		value := reflect.New(field.Type())
		if string(m.Value) != "null" {
			strict := json.NewDecoder(bytes.NewReader(m.Value))
			strict.DisallowUnknownFields()
			if err := strict.Decode(value.Interface()); err != nil {
				return old, fault.Wrap(err, fault.Invalid, what+"."+m.Name+" has the wrong type, or a member that is not known.")
			}
		}
		field.Set(value.Elem())
	}
	if len(unknown) > 0 {
		return old, fault.New(fault.Invalid, what+" has no member "+strings.Join(unknown, ", ")+".")
	}
	return next, nil
}

// fieldsByName finds the fields of a struct by their names in JSON.
func fieldsByName(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	return fields
}

// oneForm gives equal JSON texts one form: nil for none at all. What is no JSON stays,
// to be refused.
func oneForm(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return raw
	}
	return text
}

// membersOf returns the members of a struct that are not left out as empty, sorted by
// name, each with its JSON text.
func membersOf[T any](v T) map[string]string {
	texts := map[string]string{}
	whole, err := json.Marshal(v)
	if err != nil {
		return texts // a broken raw message: refused before it got here
	}
	members := map[string]json.RawMessage{}
	if json.Unmarshal(whole, &members) == nil {
		for name, raw := range members {
			texts[name] = string(raw)
		}
	}
	return texts
}
