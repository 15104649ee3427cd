package manage

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/account"
	"github.com/wafer-auth/wafer/internal/client"
	"github.com/wafer-auth/wafer/internal/grant"
)

// body is what a row reads and answers; nil for nothing.
type body struct{ in, out any }

// bodies are the bodies of the rows, by method and path, for the description.
var bodies = map[string]body{
	"GET /apis":                 {out: List[API]{}},
	"POST /apis":                {NewAPI{}, API{}},
	"GET /apis/{id}":            {out: API{}},
	"PATCH /apis/{id}":          {APIEdit{}, API{}},
	"POST /apis/{id}/secret":    {out: APISecret{}},
	"POST /apply":               {NewApply{}, Applied{}},
	"GET /audit":                {out: List[Event]{}},
	"GET /clients":              {out: List[Client]{}},
	"POST /clients":             {NewClient{}, ClientAdded{}},
	"GET /clients/{id}":         {out: Client{}},
	"PATCH /clients/{id}":       {ClientEdit{}, Client{}},
	"POST /clients/{id}/secret": {SecretRotation{}, ClientSecret{}},
	"POST /drills":              {out: Drill{}},
	"POST /invitations":         {NewInvitation{}, Invitation{}},
	"GET /keys":                 {out: List[Key]{}},
	"POST /keys/rotate":         {Rotation{}, Key{}},
	"GET /keys/{kid}":           {out: Key{}},
	"POST /keys/{kid}/retire":   {Retirement{}, Key{}},
	"GET /messages":             {out: List[Message]{}},
	"GET /revocations":          {out: List[Revocation]{}},
	"POST /revocations":         {NewRevocation{}, Revoked{}},
	"GET /roles":                {out: List[Role]{}},
	"POST /roles":               {NewRole{}, Role{}},
	"GET /roles/{id}":           {out: Role{}},
	"PATCH /roles/{id}":         {RoleEdit{}, Role{}},
	"GET /session-move":         {out: SessionMove{}},
	"POST /session-move":        {NewSessionMove{}, SessionMove{}},
	"GET /sessions":             {out: List[Session]{}},
	"POST /tokens/inspect":      {TokenQuestion{}, grant.Explanation{}},
	"GET /users":                {out: List[User]{}},
	"POST /users":               {NewUser{}, User{}},
	"GET /users/{id}":           {out: User{}},
	"PATCH /users/{id}":         {UserEdit{}, User{}},
	"GET /verifiers":            {out: Verifiers{}},
}

// rawMembers are the members that are read as they come, and what they stand for.
var rawMembers = map[string]reflect.Type{
	"oauth": reflect.TypeFor[client.OAuth](), "profile": reflect.TypeFor[account.Profile](),
}

// schemaOf is the JSON Schema of a type, as encoding/json writes it.
func schemaOf(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		properties := object{}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || name == "" || name == "-" {
				continue
			}
			ft := f.Type
			if stands, ok := rawMembers[name]; ok && ft == reflect.TypeFor[json.RawMessage]() {
				ft = stands
			}
			properties[name] = schemaOf(ft)
		}
		return object{"type": "object", "properties": properties}
	}
	return object{}
}

// content is a body in JSON.
func content(v any) object {
	return object{"application/json": object{"schema": schemaOf(reflect.TypeOf(v))}}
}
