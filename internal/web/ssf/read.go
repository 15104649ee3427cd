package ssf

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/verify/jose"
)

// object is a JSON object as sent: exact names, each once. Members that nobody here
// knows are left alone, as the framework wants it for those of later versions.
type object map[string][]byte

// body reads a body of type application/json that is one object.
func body(r *http.Request) (object, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fault.New(fault.Unsupported, "Send the body as application/json.")
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return parse(text, "The body")
}

func parse(text []byte, what string) (object, error) {
	members, err := jose.Members(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, what+" must be one JSON object without repeated members.")
	}
	o := object{}
	for _, m := range members {
		o[m.Name] = m.Value
	}
	return o, nil
}

// optional reads a member; nil without one. null is no value of anything here.
func optional[T any](o object, name string) (*T, error) {
	raw, there := o[name]
	if !there {
		return nil, nil
	}
	value := new(T)
	if string(raw) == "null" {
		return nil, wrong(name, nil)
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return nil, wrong(name, err)
	}
	return value, nil
}

// needed reads a member that must be there.
func needed[T any](o object, name string) (value T, err error) {
	p, err := optional[T](o, name)
	if err != nil {
		return value, err
	}
	if p == nil {
		return value, fault.New(fault.Invalid, "The member "+name+" is missing.")
	}
	return *p, nil
}

// inner reads a member that is an object itself; nil without one.
func inner(o object, name string) (object, error) {
	raw, there := o[name]
	if !there {
		return nil, nil
	}
	return parse(raw, "The member "+name)
}

func wrong(name string, err error) error {
	return fault.Wrap(err, fault.Invalid, "The member "+name+" has the wrong type.")
}

// streamParameter is the stream_id of a query.
func streamParameter(r *http.Request) (id string, given bool, err error) {
	all := r.URL.Query()["stream_id"]
	if len(all) > 1 {
		return "", false, fault.New(fault.Invalid, "stream_id is there more than once.")
	}
	if len(all) == 0 {
		return "", false, nil
	}
	return all[0], true, nil
}
