package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// members reads NAME=VALUE by the names of T, a struct with json tags, and whole JSON
// objects. A text stands as it is, a list may be JSON or one text for each time its
// name is there, all else is JSON; an empty value is null. What has no such name is
// left for the server to refuse.
func members[T any](list []string) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	lists := map[string][]string{}
	for _, text := range list {
		if strings.HasPrefix(strings.TrimSpace(text), "{") {
			var object map[string]json.RawMessage
			if err := json.Unmarshal([]byte(text), &object); err != nil {
				return nil, fmt.Errorf("%q is no JSON object", text)
			}
			maps.Copy(out, object)
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q: write NAME=VALUE", text)
		}
		kind := kindOf(reflect.TypeFor[T](), name)
		switch {
		case value == "":
			out[name] = json.RawMessage("null")
		case kind == reflect.String || kind == reflect.Slice && !strings.HasPrefix(value, "["):
			if kind == reflect.Slice {
				lists[name] = append(lists[name], value)
				out[name] = jsonText(lists[name])
				continue
			}
			out[name] = jsonText(value)
		case !json.Valid([]byte(value)):
			return nil, fmt.Errorf("%s: %q is no JSON, such as true, 60 or [\"a\",\"b\"]", name, value)
		default:
			out[name] = json.RawMessage(value)
		}
	}
	return out, nil
}

// kindOf is what the values of a member are: String, Slice for a list of texts, or
// Invalid for anything else.
func kindOf(t reflect.Type, name string) reflect.Kind {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag != name {
			continue
		}
		switch ft := t.Field(i).Type; {
		case ft.Kind() == reflect.String:
			return reflect.String
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.String:
			return reflect.Slice
		}
		return reflect.Invalid
	}
	return reflect.String
}

// jsonText is a value that always is JSON.
func jsonText(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// object is nil for no members.
func object(members map[string]json.RawMessage) json.RawMessage {
	if len(members) == 0 {
		return nil
	}
	return jsonText(members)
}

// memberRows are the members of v that are there, one row for each, sorted by name.
func memberRows(prefix string, v any) [][]string {
	var all map[string]json.RawMessage
	if json.Unmarshal(jsonText(v), &all) != nil {
		return nil
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows = append(rows, []string{prefix + name, memberText(all[name])})
	}
	return rows
}

// memberText shows a value as a person writes it, a key set by its key ids.
func memberText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, " ")
	}
	var set struct {
		Keys []struct {
			Kid string `json:"kid"`
			Kty string `json:"kty"`
		} `json:"keys"`
	}
	if json.Unmarshal(raw, &set) != nil || set.Keys == nil {
		return string(raw)
	}
	for _, k := range set.Keys {
		list = append(list, orDash(k.Kid)+" ("+k.Kty+")")
	}
	return strings.Join(list, ", ")
}
