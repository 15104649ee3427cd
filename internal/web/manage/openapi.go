package manage

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// openapi sends the description made from the table of routes.
func (s *Surface) openapi(w http.ResponseWriter, _ *http.Request, _ caller) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.document)))
	_, _ = w.Write(s.document) // the caller may have left
	return nil
}

type object map[string]any

// describe makes an OpenAPI 3.1 document of the routes, so that it never tells
// of one that is not there.
func describe(issuer string) []byte {
	paths := map[string]object{}
	for _, row := range routes {
		if paths[row.path] == nil {
			paths[row.path] = object{}
		}
		paths[row.path][strings.ToLower(row.method)] = row.describe()
	}
	out, err := json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": "Wafer management API", "version": "1"},
		"servers": []object{{"url": issuer + Prefix}},
		"paths":   paths,
		"components": object{
			"securitySchemes": object{"token": object{
				"type": "oauth2",
				"flows": object{"clientCredentials": object{
					"tokenUrl": issuer + "/oauth/token", "scopes": scopeTexts(),
				}},
			}},
			"schemas": object{"Error": object{
				"type": "object", "required": []string{"error", "message"},
				"properties": object{"error": object{"type": "string"}, "message": object{"type": "string"}},
			}},
		},
	})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return out
}

func scopeTexts() map[string]string {
	texts := map[string]string{}
	for _, row := range routes {
		for _, scope := range row.scopes {
			texts[scope] = strings.ReplaceAll(scope, ":", " ")
		}
	}
	return texts
}

func (row route) describe() object {
	parameters := []object{}
	for _, name := range row.parameters() {
		parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if row.lists() {
		parameters = append(parameters,
			object{"name": "after", "in": "query", "schema": object{"type": "string"}},
			object{"name": "limit", "in": "query", "schema": object{"type": "integer", "minimum": 1, "maximum": mostLimit}})
	}
	scopes := row.scopes
	if scopes == nil {
		scopes = []string{}
	}
	problem := object{"description": "Refused.", "content": object{
		"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}},
	}}
	done := object{"description": "Done."}
	out := object{
		"summary": row.summary, "operationId": row.operation(), "parameters": parameters,
		"security":  []object{{"token": scopes}},
		"responses": object{"2XX": done, "4XX": problem, "5XX": problem},
	}
	b := bodies[row.method+" "+row.path]
	if b.in != nil {
		out["requestBody"] = object{"content": content(b.in)}
	}
	if b.out != nil {
		done["content"] = content(b.out)
	}
	return out
}

// operation names a row: "patch_users_id".
func (row route) operation() string {
	clean := strings.NewReplacer("/", "_", "{", "", "}", "", ".", "_")
	return strings.ToLower(row.method) + clean.Replace(row.path)
}
