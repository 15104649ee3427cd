package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wafer-auth/wafer/verify/jose"
)

const (
	metadataPath = "/.well-known/oauth-authorization-server"
	openIDPath   = "/.well-known/openid-configuration"
	keysPath     = "/.well-known/jwks.json"
)

const fixHost = "Let the proxy pass the name on that was asked for (nginx: proxy_set_header Host $http_host), and start Wafer with --issuer and that name."

// metadata is RFC 8414 as far as it is looked at.
type metadata struct {
	answer
	read   bool
	issuer string
	urls   map[string]string // members that hold an address of the server's
	lists  map[string][]string
	flags  map[string]bool
}

func readMetadata(a answer) (metadata, error) {
	m := metadata{answer: a, urls: map[string]string{}, lists: map[string][]string{}, flags: map[string]bool{}}
	members, err := jose.Members(a.body)
	if err != nil {
		return m, err
	}
	for _, member := range members {
		var list []string
		if json.Unmarshal(member.Value, &list) == nil {
			m.lists[member.Name] = list
		}
		var flag bool
		if json.Unmarshal(member.Value, &flag) == nil {
			m.flags[member.Name] = flag
		}
		var text string
		if json.Unmarshal(member.Value, &text) != nil {
			continue
		}
		if member.Name == "issuer" {
			m.issuer = text
		}
		if strings.HasSuffix(member.Name, "_endpoint") || member.Name == "jwks_uri" {
			m.urls[member.Name] = text
		}
	}
	m.read = true
	return m, nil
}

// checkOwnHost asks in the target's own name.
func (x *exam) checkOwnHost(ctx context.Context) finding {
	a := x.get(ctx, metadataPath)
	if !a.refusal(http.StatusMisdirectedRequest, "misdirected") {
		x.stage = ours
		return fine("%s", a)
	}
	found := fmt.Sprintf("Asked for %s, Wafer answers 421: the host is not the one of its issuer.", quote(x.url.Host))
	// Behind a proxy on its own machine, Wafer answers to "localhost": if the name
	// passes the proxy, the fault is Wafer's setting, and we learn what it is.
	m, err := readMetadata(x.ask(ctx, question{path: metadataPath, host: "localhost"}))
	if err == nil && m.issuer != "" {
		return wrong("Start Wafer with --issuer "+x.base+". The proxy passes the Host header on as it should.",
			"%s Its issuer is %s.", found, quote(m.issuer))
	}
	return wrong(fixHost, "%s", found)
}

// checkUnknownHost asks for a name that is nobody's (RFC 6761).
func (x *exam) checkUnknownHost(ctx context.Context) finding {
	a := x.ask(ctx, question{path: metadataPath, host: "unknown.invalid"})
	m, err := readMetadata(a)
	switch {
	case a.refusal(http.StatusMisdirectedRequest, "misdirected"):
		return fine("421 from Wafer.")
	case a.status == http.StatusOK && err == nil && m.issuer != "":
		return wrong("The proxy puts another name in the place of the one that was asked for, so Wafer cannot tell a stranger's name that points here "+
			"(DNS rebinding). nginx: proxy_set_header Host $http_host", "Asked for the host unknown.invalid, Wafer takes it for its own.")
	case a.err != nil:
		return fine("Refused before Wafer saw it: %s.", sayError(a.err))
	}
	return fine("%d, before Wafer saw it.", a.status)
}

func (x *exam) checkMetadata(ctx context.Context) finding {
	a := x.get(ctx, metadataPath)
	if a.err != nil || a.status != http.StatusOK {
		return unexpected(metadataPath, a)
	}
	m, err := readMetadata(a)
	if err != nil || m.issuer == "" {
		return wrong("Something on the way changes the answer, or another server gives it: let the proxy pass it on as it is.", "%s is not the metadata of an issuer.", metadataPath)
	}
	x.home = m
	if !a.is("application/json") {
		return wrong("Clients refuse metadata of another type: let the proxy leave Content-Type alone.", "Its type is %s.", quote(a.header.Get("Content-Type")))
	}
	return fine("%d bytes of JSON.", len(a.body))
}

func (x *exam) checkIssuer(context.Context) finding {
	if !x.home.read {
		return skipped("There is no metadata.")
	}
	if x.home.issuer == x.URL {
		return fine("%s", x.URL)
	}
	found := fmt.Sprintf("The issuer is %s, you asked %s: %s. Every verifier compares both byte for byte and refuses.",
		quote(x.home.issuer), quote(x.URL), x.difference())
	if strings.TrimSuffix(strings.ToLower(x.URL), "/") == x.home.issuer {
		return wrong("Write "+x.home.issuer+" wherever an issuer is configured.", "%s", found)
	}
	return wrong("If people reach it by "+x.base+", start Wafer with --issuer "+x.base+"; otherwise use "+quote(x.home.issuer)+" everywhere.", "%s", found)
}

// difference says in what two issuers differ.
func (x *exam) difference() string {
	is, err := url.Parse(x.home.issuer)
	switch {
	case err != nil:
		return "it is no URL"
	case is.Scheme != x.url.Scheme:
		return "another scheme"
	case !strings.EqualFold(is.Hostname(), x.url.Hostname()):
		return "another host"
	case is.Port() != x.url.Port():
		return "another port"
	case strings.TrimSuffix(x.URL, "/") == x.home.issuer:
		return "a slash at the end"
	case strings.EqualFold(x.URL, x.home.issuer):
		return "capital letters"
	}
	return "another path"
}

func (x *exam) checkEndpoints(context.Context) finding {
	if !x.home.read {
		return skipped("There is no metadata.")
	}
	var out []string
	for name, to := range x.home.urls {
		if !strings.HasPrefix(to, x.home.issuer+"/") {
			out = append(out, name+" "+quote(to))
		}
	}
	slices.Sort(out)
	if len(out) > 0 {
		return wrong("Something on the way rewrites the metadata (nginx: sub_filter): switch that off for this host, and set --issuer instead.",
			"Not under %s: %s.", quote(x.home.issuer), strings.Join(out, ", "))
	}
	return fine("%d of them.", len(x.home.urls))
}

func (x *exam) checkOpenID(ctx context.Context) finding {
	a := x.get(ctx, openIDPath)
	if a.refusal(http.StatusNotFound, "not_found") {
		return skipped("This server does not have it.")
	}
	if a.err != nil || a.status != http.StatusOK {
		return unexpected(openIDPath, a)
	}
	m, err := readMetadata(a)
	if err != nil || m.issuer == "" {
		return wrong("Let the proxy pass "+openIDPath+" on to Wafer.", "%s is not the metadata of an issuer.", openIDPath)
	}
	if x.home.read && m.issuer != x.home.issuer {
		return wrong("Let the proxy send both paths to the same Wafer, and cache neither longer than it says.",
			"It says %s, the other says %s.", quote(m.issuer), quote(x.home.issuer))
	}
	if !x.home.read {
		return fine("It is %s.", quote(m.issuer))
	}
	if name := differs(x.home, m); name != "" {
		return wrong("Let the proxy send both paths to the same Wafer, and cache neither longer than it says.",
			"%s is %s, and in the other %s.", name, quote(m.urls[name]), quote(x.home.urls[name]))
	}
	return fine("The same issuer and the same addresses.")
}

// keysAt is the path of the key set; it is asked of the target, wherever the
// metadata says it is.
func (x *exam) keysAt() string {
	path, under := strings.CutPrefix(x.home.urls["jwks_uri"], x.home.issuer+"/")
	if !under || !x.home.read {
		return keysPath
	}
	return "/" + path
}

func (x *exam) checkKeys(ctx context.Context) finding {
	a := x.get(ctx, x.keysAt())
	if a.err != nil || a.status != http.StatusOK {
		return unexpected(x.keysAt(), a)
	}
	if !a.is("application/json") && !a.is("application/jwk-set+json") {
		return wrong("Let the proxy leave Content-Type alone.", "The type of %s is %s.", x.keysAt(), quote(a.header.Get("Content-Type")))
	}
	keys, err := jose.ParseKeySet(a.body)
	switch {
	case err != nil:
		return wrong("Something on the way changes the answer: let the proxy pass it on as it is.", "The key set cannot be read: %s.", err)
	case len(keys) == 0:
		return wrong("wafer key list shows what Wafer has; an API with an asymmetric algorithm has a key.", "The key set has no key that verifies anything.")
	}
	var algs []string
	for _, k := range keys {
		algs = append(algs, string(k.Algorithm()))
	}
	slices.Sort(algs)
	return fine("%d usable: %s.", len(keys), strings.Join(slices.Compact(algs), ", "))
}

func (x *exam) checkMetadataCache(ctx context.Context) finding {
	return worst(x.cacheable(ctx, metadataPath), x.cacheable(ctx, x.keysAt()))
}

// cacheable looks at what a cache would go by: verifiers fetch keys again and
// again when they may not keep them, and use old ones when they keep them too long.
func (x *exam) cacheable(ctx context.Context, path string) finding {
	a := x.get(ctx, path)
	if a.err != nil || a.status != http.StatusOK {
		return unexpected(path, a)
	}
	control := strings.ToLower(strings.Join(a.header.Values("Cache-Control"), ", "))
	age, _ := strconv.Atoi(a.header.Get("Age"))
	most := maxAge(control)
	switch {
	case len(a.header.Values("Set-Cookie")) > 0:
		return doubt("Let the proxy set no cookies here: caches would hand one person's to all.", "%s sets a cookie.", path)
	case strings.Contains(control, "no-store") || strings.Contains(control, "private") || most == 0:
		return doubt("Let the proxy leave Cache-Control alone (nginx: no add_header Cache-Control, no expires).",
			"%s may not be cached: %s.", path, quote(control))
	case age > most:
		return wrong("Let the cache keep it no longer than it says: a new key is unknown to verifiers until then.",
			"%s comes from a cache that kept it for %d s; it is good for %d.", path, age, most)
	}
	tag := a.header.Get("ETag")
	again := x.ask(ctx, question{path: path, header: http.Header{"If-None-Match": {tag}}})
	if tag == "" || again.status != http.StatusNotModified {
		return doubt("Let the proxy pass ETag and If-None-Match on.", "%s cannot be asked for again cheaply: ETag %s, then %s.", path, quote(tag), again)
	}
	return fine("For %d s at most, then 304.", most)
}

func maxAge(control string) int {
	for part := range strings.SplitSeq(control, ",") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), "max-age="); ok {
			n, err := strconv.Atoi(text)
			if err == nil {
				return n
			}
		}
	}
	return 0
}
