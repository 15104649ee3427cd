package middleware

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

// JSON reads a JSON body into v, a pointer to a struct. encoding/json alone is
// too kind: it takes the last of two members, folds case, turns broken UTF-8 into
// another text and null into nothing. Here each of those, a member v does not
// name, and a content type other than application/json are refused.
func JSON(r *http.Request, v any) error {
	if !hasType(r, "application/json") {
		return fault.New(fault.Unsupported, "Send the body as application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return decode(body, v)
}

func decode(body []byte, v any) error {
	// Names must be unique at any depth, and all text valid, before anything is
	// looked at.
	if _, err := jose.Members(body); err != nil {
		return fault.Wrap(err, fault.Invalid, "The body must be one JSON object without repeated members.")
	}
	if err := fits(body, reflect.TypeOf(v).Elem(), "the body"); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return wrongType(err)
	}
	return nil
}

func wrongType(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) && t.Field != "" {
		return fault.Wrap(err, fault.Invalid, "The member "+t.Field+" has the wrong type.")
	}
	return fault.Wrap(err, fault.Invalid, "A member of the body has the wrong type.")
}

var rawType = reflect.TypeFor[json.RawMessage]()

// fits refuses null and, in objects that stand for a struct, members that the
// struct does not have in exactly this spelling.
func fits(raw []byte, t reflect.Type, where string) error {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return fault.New(fault.Invalid, "null is not allowed as "+where+".")
	}
	if t == rawType {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fits(raw, t.Elem(), where)
	case reflect.Struct:
		return fitsStruct(raw, t)
	case reflect.Map:
		return each(raw, func(name string, value json.RawMessage) error { return fits(value, t.Elem(), name) })
	case reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return wrongType(err)
		}
		for _, item := range items {
			if err := fits(item, t.Elem(), where); err != nil {
				return err
			}
		}
	}
	return nil
}

func fitsStruct(raw []byte, t reflect.Type) error {
	known := membersOf(t)
	return each(raw, func(name string, value json.RawMessage) error {
		ft, ok := known[name]
		if !ok {
			return fault.New(fault.Invalid, "The body has a member that is not known here.")
		}
		return fits(value, ft, name)
	})
}

// members of each struct that was asked about: map[string]reflect.Type by
// reflect.Type.
var members sync.Map

func membersOf(t reflect.Type) map[string]reflect.Type {
	if known, ok := members.Load(t); ok {
		return known.(map[string]reflect.Type)
	}
	known := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name] = f.Type
		}
	}
	members.Store(t, known)
	return known
}

func each(raw []byte, f func(name string, value json.RawMessage) error) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return wrongType(err)
	}
	for name, value := range members {
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}
