package middleware_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
)

func withCookies(lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Cookie"] = lines
	return r
}

func TestSessionReadsTheExactCookieOnly(t *testing.T) {
	t.Parallel()
	const name = middleware.CookieName
	for _, tt := range []struct {
		test   string
		lines  []string
		want   string
		refuse bool
	}{
		{"none", nil, "", false},
		{"alone", []string{name + "=good"}, "good", false},
		{"among others", []string{"a=b; " + name + "=good; c=d"}, "good", false},
		{"in a second header", []string{"a=b", name + "=good"}, "good", false},
		{"tossed before", []string{name + "=evil; " + name + "=good"}, "", true},
		{"tossed in another header", []string{name + "=good", name + "=evil"}, "", true},
		{"space after the name", []string{name + " =evil"}, "", false},
		{"space after the name, and ours", []string{name + " =evil; " + name + "=good"}, "good", false},
		{"tab before the name", []string{"\t" + name + "=evil; " + name + "=good"}, "good", false},
		{"two spaces before the name", []string{"a=b;  " + name + "=evil"}, "", false},
		{"other case", []string{strings.ToLower(name) + "=evil"}, "", false},
		{"prefix of the name", []string{"x" + name + "=evil"}, "", false},
		{"device cookie", []string{middleware.DeviceCookieName + "=evil"}, "", false},
		{"value with an equals sign", []string{name + "=a=b"}, "a=b", false},
		{"quotes are kept", []string{name + `="good"`}, `"good"`, false},
		{"3,500 cookies", []string{strings.Repeat("a=b; ", 3500) + name + "=good"}, "", true},
	} {
		t.Run(tt.test, func(t *testing.T) {
			t.Parallel()
			got, err := middleware.Session(withCookies(tt.lines...))
			if got != tt.want || fault.Is(err, fault.Invalid) != tt.refuse {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestDeviceCookieNeverFails(t *testing.T) {
	t.Parallel()
	const name = middleware.DeviceCookieName
	if got := middleware.Device(withCookies(name + "=one")); got != "one" {
		t.Errorf("got %q", got)
	}
	if got := middleware.Device(withCookies(name + "=one; " + name + "=two")); got != "" {
		t.Errorf("got %q for two", got)
	}
}

func TestCookiesCarryTheirAttributes(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	middleware.SetSession(w, "value")
	middleware.ClearSession(w)
	middleware.SetDevice(w, "device")
	middleware.SetDevice(w, "")
	got := w.Header()["Set-Cookie"]
	want := []string{
		"__Host-Http-wafer=value; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-Http-wafer=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		"__Host-Http-wafer-device=device; Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Lax",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func posted(contentType, body string) *http.Request {
	r := httptest.NewRequest("POST", "/?q=query", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

const form = "application/x-www-form-urlencoded"

func TestFormRefusesWhatTwoReadersCouldReadDifferently(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "f%d=1&", i)
	}
	for _, tt := range []struct {
		name, contentType, body string
		want                    string // of field a; "-" is a refusal
	}{
		{"plain", form, "a=1&b=2", "1"},
		{"charset", form + "; charset=UTF-8", "a=1", "1"},
		{"plus is a space", form, "a=1+2", "1 2"},
		{"escaped space", form, "a=1%202", "1 2"},
		{"empty is absent", form, "a=", ""},
		{"query is not a form", form, "b=1", ""},
		{"twice", form, "a=1&a=2", "-"},
		{"twice the same", form, "a=1&a=1", "-"},
		{"twice, one empty", form, "a=&a=1", "-"},
		{"broken escape", form, "a=1&b=%zz", "-"},
		{"semicolons", form, "a=1;b=2", "-"},
		{"NUL", form, "a=1%00", "-"},
		{"overlong UTF-8", form, "a=%c0%af", "-"},
		{"lone surrogate", form, "a=%ed%a0%80", "-"},
		{"20,000 fields", form, many.String(), "-"},
		{"JSON", "application/json", `{"a":"1"}`, "-"},
		{"text", "text/plain", "a=1", "-"},
		{"multipart", "multipart/form-data; boundary=x", "a=1", "-"},
		{"no type", "", "a=1", "-"},
		{"other charset", form + "; charset=utf-16", "a=1", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := middleware.Form(posted(tt.contentType, tt.body))
			if (err != nil) != (tt.want == "-") {
				t.Fatalf("got %v, %v", f, err)
			}
			if err == nil && f["a"] != tt.want {
				t.Errorf("got %q, want %q", f["a"], tt.want)
			}
			if f["q"] != "" {
				t.Error("a field came from the URL")
			}
		})
	}
}

type shape struct {
	Name string              `json:"name"`
	Flag *bool               `json:"flag"`
	List []string            `json:"list"`
	Map  map[string][]string `json:"map"`
	In   *struct {
		Deep string `json:"deep"`
	} `json:"in"`
	Raw json.RawMessage `json:"raw"`
}

func TestJSONRefusesWhatTwoReadersCouldReadDifferently(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, contentType, body string
		ok                      bool
	}{
		{"plain", "application/json", `{"name":"a","flag":true,"list":["x"],"map":{"k":["v"]},"in":{"deep":"d"},"raw":{"any":1}}`, true},
		{"empty object", "application/json; charset=utf-8", `{}`, true},
		{"white space", "application/json", " {\n\"name\" : \"a\" }\n", true},
		{"repeated member", "application/json", `{"name":"a","name":"b"}`, false},
		{"repeated by escape", "application/json", `{"name":"a","n\u0061me":"b"}`, false},
		{"repeated deep", "application/json", `{"raw":{"a":1,"a":2}}`, false},
		{"other case", "application/json", `{"NAME":"a"}`, false},
		{"folded by Unicode", "application/json", `{"li` + "\u017f" + `t":[]}`, false},
		{"unknown member", "application/json", `{"admin":true}`, false},
		{"unknown member deep", "application/json", `{"in":{"admin":true}}`, false},
		{"null", "application/json", `{"name":null}`, false},
		{"null in a list", "application/json", `{"list":[null]}`, false},
		{"null in a map", "application/json", `{"map":{"k":null}}`, false},
		{"number for a text", "application/json", `{"name":1}`, false},
		{"list for a text", "application/json", `{"name":["a"]}`, false},
		{"object for a text", "application/json", `{"name":{"$ne":1}}`, false},
		{"text for a flag", "application/json", `{"flag":"false"}`, false},
		{"array", "application/json", `[{"name":"a"}]`, false},
		{"top null", "application/json", `null`, false},
		{"text", "application/json", `"a"`, false},
		{"nothing", "application/json", ``, false},
		{"trailing", "application/json", `{"name":"a"}garbage`, false},
		{"two values", "application/json", `{"name":"a"}{"name":"b"}`, false},
		{"invalid UTF-8", "application/json", "{\"name\":\"a\xff\"}", false},
		{"lone surrogate", "application/json", `{"name":"\ud800"}`, false},
		{"deep", "application/json", `{"raw":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, false},
		{"form", form, `{"name":"a"}`, false},
		{"text type", "text/plain", `{"name":"a"}`, false},
		{"no type", "", `{"name":"a"}`, false},
		{"JSON of another kind", "application/ld+json", `{"name":"a"}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var v shape
			err := middleware.JSON(posted(tt.contentType, tt.body), &v)
			if (err == nil) != tt.ok {
				t.Fatalf("got %+v, %v", v, err)
			}
			if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Unsupported) {
				t.Errorf("not a refusal: %v", err)
			}
		})
	}
}

func TestScopesAreAStrictList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
		ok   bool
	}{
		{"", nil, true},
		{"a", []string{"a"}, true},
		{"a b a", []string{"a", "b"}, true},
		{"a  b", nil, false},
		{" a", nil, false},
		{"a\tb", nil, false},
		{`a"b`, nil, false},
		{strings.Repeat("a ", 200) + "a", nil, false},
		{strings.Repeat("a", 200), nil, false},
	} {
		got, ok := middleware.Scopes(tt.text)
		if !slices.Equal(got, tt.want) || ok != tt.ok {
			t.Errorf("%.20q: got %v, %v", tt.text, got, ok)
		}
	}
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{"a=1&b=2", "a=1&a=2", "a=%zz", "a;b", "a=%00", "%ff=1", "=", "&&&", "a=1%26b=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := middleware.Form(posted(form, body))
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: not a refusal: %v", body, err)
			}
			return
		}
		for name, value := range got {
			if value == "" || strings.ContainsRune(name+value, 0) {
				t.Fatalf("%q gave %q=%q", body, name, value)
			}
		}
		if strings.Count(body, "&")+1 < len(got) {
			t.Fatalf("%q gave more fields than it has: %v", body, got)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"name":"a","name":"b"}`, `{"in":{"deep":"x"}}`, `{"map":{"a":["b"]}}`, `null`, `{"raw":[1,{}]}`, `{"flag":true}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var v shape
		err := middleware.JSON(posted("application/json", body), &v)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: not a refusal: %v", body, err)
			}
			return
		}
		// What passes reads the same to anybody: a second reader, asked for the
		// exact name, finds the same text.
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("%q passed and is not JSON: %v", body, err)
		}
		var name string
		if raw, ok := members["name"]; ok {
			if err := json.Unmarshal(raw, &name); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
		}
		if name != v.Name {
			t.Fatalf("%q: got %q, want %q", body, v.Name, name)
		}
	})
}
