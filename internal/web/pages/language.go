package pages

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wafer-auth/wafer/internal/web/respond"
)

// language is one that the pages speak.
type language struct {
	tag   string            // BCP 47
	words map[string]string // by key; see english
}

// languages are all of them, the default first. One more is one more file of texts,
// and one more line here.
var languages = []*language{
	{"en", english},
	{"de", german},
}

// Locales lists the tags of the languages that the pages speak, for metadata.
func Locales() []string {
	tags := make([]string, 0, len(languages))
	for _, l := range languages {
		tags = append(tags, l.tag)
	}
	return tags
}

// text returns a text without gaps. A key that is not there is a bug.
func (l *language) text(key string) string {
	s, ok := l.words[key]
	if !ok {
		panic("no text " + key)
	}
	return s
}

// texts fills the gaps of a text.
func (l *language) texts(key string, gaps ...any) string { return fmt.Sprintf(l.text(key), gaps...) }

// sentences are the public sentences of flows by their English text, and those with
// a number in them by what stands before it.
var sentences, counted = indexSentences()

func indexSentences() (plain, gaps map[string]string) {
	plain, gaps = map[string]string{}, map[string]string{}
	for key, text := range english {
		before, _, gap := strings.Cut(text, "%d")
		switch {
		case gap && strings.HasPrefix(key, "refused."):
			gaps[before] = key
		case !gap && !strings.Contains(text, "%"):
			plain[text] = key
		}
	}
	return plain, gaps
}

// say says in this language what a flow says in English. What the catalogue does not
// know stays as it is.
func (l *language) say(public string) string {
	if key, known := sentences[public]; known {
		return l.text(key)
	}
	for before, key := range counted {
		var n int
		if _, err := fmt.Sscanf(strings.TrimPrefix(public, before), "%d", &n); err == nil && fmt.Sprintf(english[key], n) == public {
			return l.texts(key, n)
		}
	}
	return public
}

// spoken returns the language of a tag; nil when it is not spoken here. A region
// makes no difference (RFC 4647 section 3.4).
func spoken(tag string) *language {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	i := slices.IndexFunc(languages, func(l *language) bool { return l.tag == primary })
	if i < 0 {
		return nil
	}
	return languages[i]
}

// preferred returns the language that a browser likes best (RFC 9110 section
// 12.5.4), the default when it likes none of ours.
func preferred(accept []string) *language {
	best, most := languages[0], 0.0
	for one := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		tag, params, _ := strings.Cut(one, ";")
		l, q := spoken(strings.TrimSpace(tag)), respond.Weight(params)
		if strings.TrimSpace(tag) == "*" {
			l = languages[0]
		}
		if l != nil && q > most {
			best, most = l, q
		}
	}
	return best
}

// speak answers in the first of the wishes that is spoken here, whatever the browser
// prefers: they are what an application asked for (OpenID Connect Core section
// 3.1.2.1). Without one it stays as it is.
func (v *visit) speak(wishes ...string) {
	for _, tag := range wishes {
		if l := spoken(tag); l != nil {
			v.language, v.asked = l, l.tag
			return
		}
	}
}

var units = []struct {
	size time.Duration
	name string
}{{24 * time.Hour, "time.day"}, {time.Hour, "time.hour"}, {time.Minute, "time.minute"}, {time.Second, "time.second"}}

// agoText says how long ago something was, to one unit. Sessions are noted to the
// minute, so nothing finer is claimed.
func (l *language) agoText(d time.Duration) string {
	if d < time.Minute {
		return l.text("time.now")
	}
	return l.texts("time.ago", l.amount(d))
}

// waitText says when to try again, "" for whenever. It rounds up: who comes back
// then must not be too early.
func (l *language) waitText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	for _, u := range units {
		if d >= u.size {
			d += u.size - 1
			break
		}
	}
	return l.texts("time.wait", l.amount(max(d, time.Second)))
}

func (l *language) amount(d time.Duration) string {
	for _, u := range units {
		if n := int(d / u.size); n == 1 {
			return l.text(u.name)
		} else if n > 1 {
			return l.texts(u.name+"s", n)
		}
	}
	return l.texts("time.seconds", 0)
}

// when is a time in words.
func (l *language) when(t, now time.Time) moment {
	return moment{Words: l.agoText(now.Sub(t)), Exact: t.UTC().Format(time.RFC3339), Title: t.UTC().Format(l.text("time.layout"))}
}
