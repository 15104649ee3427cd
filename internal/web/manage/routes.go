package manage

import (
	"net/http"
	"slices"
	"strings"

	"github.com/wafer-auth/wafer/internal/api"
)

// Prefix is where the API stands.
const Prefix = api.ManagementPath

// ApplyPath takes bodies of up to ApplyBody bytes; all others keep to the
// chain's cap.
const (
	ApplyPath = Prefix + "/apply"
	ApplyBody = 2 << 20
)

// routes is every row of this surface, sorted by path and method. scopes are all
// needed; a row with none is open to whoever holds a management token at all.
var routes = []route{
	{"GET", "/apis", []string{"apis:read"}, (*Surface).listAPIs, "List APIs."},
	{"POST", "/apis", []string{"apis:write"}, (*Surface).addAPI, "Add an API."},
	{"DELETE", "/apis/{id}", []string{"apis:write"}, (*Surface).removeAPI, "Remove an API."},
	{"GET", "/apis/{id}", []string{"apis:read"}, (*Surface).showAPI, "Show an API."},
	{"PATCH", "/apis/{id}", []string{"apis:write"}, (*Surface).editAPI, "Change an API."},
	{"POST", "/apis/{id}/secret", []string{"keys:write"}, (*Surface).readAPISecret, "Read the secret of an HMAC API, once for each key."},
	{"POST", "/apply", []string{"apis:write", "clients:write", "roles:write", "users:write"}, (*Surface).apply, "Apply a declared set-up."},
	{"GET", "/audit", []string{"audit:read"}, (*Surface).listEvents, "Read the audit log."},
	{"GET", "/clients", []string{"clients:read"}, (*Surface).listClients, "List clients."},
	{"POST", "/clients", []string{"clients:write"}, (*Surface).addClient, "Add a client."},
	{"DELETE", "/clients/{id}", []string{"clients:write"}, (*Surface).removeClient, "Remove a client."},
	{"GET", "/clients/{id}", []string{"clients:read"}, (*Surface).showClient, "Show a client."},
	{"PATCH", "/clients/{id}", []string{"clients:write"}, (*Surface).editClient, "Change a client."},
	{"POST", "/clients/{id}/secret", []string{"clients:write"}, (*Surface).rotateClientSecret, "Give a client a new secret."},
	{"POST", "/drills", []string{"sessions:revoke", "users:write"}, (*Surface).drill, "Revoke a throwaway user and measure when each verifier refuses."},
	{"POST", "/invitations", []string{"clients:write"}, (*Surface).invite, "Make an initial access token, with which clients register themselves."},
	{"GET", "/keys", []string{"keys:read"}, (*Surface).listKeys, "List signing keys."},
	{"POST", "/keys/rotate", []string{"keys:write"}, (*Surface).rotateKey, "Announce the next key of an API."},
	{"GET", "/keys/{kid}", []string{"keys:read"}, (*Surface).showKey, "Show a signing key."},
	{"POST", "/keys/{kid}/retire", []string{"keys:write"}, (*Surface).retireKey, "Take a key out of use."},
	{"GET", "/messages", []string{"audit:read"}, (*Surface).listMessages, "List what other parties are still to be told, and what was given up."},
	{"GET", "/openapi.json", nil, (*Surface).openapi, "This document."},
	{"GET", "/revocations", []string{"feed:read"}, (*Surface).listRevocations, "Read the revocation log."},
	{"POST", "/revocations", []string{"sessions:revoke"}, (*Surface).revoke, "Take back a user's sessions, one session, a client, a token, a key or an API."},
	{"GET", "/roles", []string{"roles:read"}, (*Surface).listRoles, "List roles."},
	{"POST", "/roles", []string{"roles:write"}, (*Surface).addRole, "Add a role."},
	{"DELETE", "/roles/{id}", []string{"roles:write"}, (*Surface).removeRole, "Remove a role, also from its users."},
	{"GET", "/roles/{id}", []string{"roles:read"}, (*Surface).showRole, "Show a role."},
	{"PATCH", "/roles/{id}", []string{"roles:write"}, (*Surface).editRole, "Change a role."},
	{"DELETE", "/session-move", []string{"sessions:revoke"}, (*Surface).abortMove, "Call off a move of sessions. On the server itself only."},
	{"GET", "/session-move", []string{"sessions:read"}, (*Surface).showMove, "Where sessions live, and how far a move is."},
	{"POST", "/session-move", []string{"sessions:revoke"}, (*Surface).startMove, "Move all sessions to another home, with nobody signed out. On the server itself only."},
	{"GET", "/sessions", []string{"sessions:read"}, (*Surface).listSessions, "List the sessions of one user."},
	{"DELETE", "/sessions/{id}", []string{"sessions:revoke"}, (*Surface).endSession, "End a session."},
	{"POST", "/tokens/inspect", []string{"sessions:check"}, (*Surface).inspectToken, "Explain a token."},
	{"GET", "/users", []string{"users:read"}, (*Surface).listUsers, "List users."},
	{"POST", "/users", []string{"users:write"}, (*Surface).addUser, "Add a user."},
	{"DELETE", "/users/{id}", []string{"users:write"}, (*Surface).removeUser, "Remove a user."},
	{"GET", "/users/{id}", []string{"users:read"}, (*Surface).showUser, "Show a user, by id or login."},
	{"PATCH", "/users/{id}", []string{"users:write"}, (*Surface).editUser, "Change a user."},
	{"GET", "/verifiers", []string{"feed:read"}, (*Surface).listVerifiers, "List who follows the revocation feed, and how far each has come."},
}

// route is one row. Its path is below Prefix.
type route struct {
	method, path string
	scopes       []string
	serve        func(*Surface, http.ResponseWriter, *http.Request, caller) error
	summary      string
}

// parameters lists the names in braces of a path.
func (row route) parameters() []string {
	var names []string
	for part := range strings.SplitSeq(row.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// lists reports whether a row answers with a page of rows.
func (row route) lists() bool {
	return row.method == http.MethodGet && slices.Contains([]string{
		"/apis", "/audit", "/clients", "/keys", "/revocations", "/roles", "/sessions", "/users",
	}, row.path)
}
