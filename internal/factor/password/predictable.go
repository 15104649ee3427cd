package password

import (
	_ "embed"
	"sort"
	"strings"
)

// The refusal lists: comment lines, then entries in byte order. The comments say
// where they are from.
//
//go:embed common.txt
var commonList string

//go:embed top.txt
var topList string

const (
	minWord   = 4   // shorter entries are not looked for inside a password
	maxWord   = 40  // no entry is longer
	minRun    = 3   // abc, 321, aaa
	minWalk   = 4   // asdf
	maxLoose  = 6   // digits and signs that add little: a year, an exclamation mark
	maxPaired = 64  // bytes up to which pairs of words are tried
	maxParsed = 128 // bytes up to which words are looked for at all
)

// walks are paths of neighboring keys; their reverses count as well.
var walks = [...]string{
	"`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./",
	"qwertzuiop", "azertyuiop", "qsdfghjklm", "yxcvbnm",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "1qazxsw23edcvfr45tgbnhy67ujm,ki8",
	"q1w2e3r4t5y6u7i8o9p0", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp", "qweasdzxc",
	"1qa2ws3ed4rf5tg6yh7uj8ik9ol0p",
}

// predictable reports a password that is on the list, or that consists of nothing
// but what attackers' programs put together first.
func predictable(password string, context []string) bool {
	s := newSpelling(password)
	if context == nil && (s.listed(0, len(s.plain)) || periodic(s.plain)) {
		return true
	}
	if len(s.plain) > maxParsed {
		return false
	}
	free := s.free(context)
	found := s.found()
	if s.covered(free, nil) {
		return true
	}
	for i, w := range found {
		if s.covered(free, []span{w}) {
			return true
		}
		if len(s.plain) > maxPaired || !s.on(topList, w) {
			continue
		}
		for _, v := range found[:i] {
			if s.on(topList, v) && s.covered(free, []span{w, v}) {
				return true
			}
		}
	}
	return false
}

// spelling is a password in lower case, and the same with the digits and signs
// that stand for letters read as letters. All have the same length.
type spelling struct{ plain, i, l string }

func newSpelling(password string) spelling {
	plain := strings.ToLower(password)
	read := func(one, bang string) string {
		return strings.NewReplacer("4", "a", "@", "a", "3", "e", "0", "o", "5", "s", "$", "s", "7", "t", "1", one, "!", bang).Replace(plain)
	}
	return spelling{plain: plain, i: read("i", "i"), l: read("l", "i")}
}

// span is a part of a password, and the reading in which it is a word.
type span struct {
	from, to int
	word     string
}

// listed reports whether the part is on the list in one of its readings.
func (s spelling) listed(from, to int) bool { return s.entry(commonList, from, to) != "" }

func (s spelling) entry(list string, from, to int) string {
	for _, reading := range [...]string{s.plain, s.i, s.l} {
		if inList(list, reading[from:to]) {
			return reading[from:to]
		}
	}
	return ""
}

func (s spelling) on(list string, w span) bool { return inList(list, w.word) }

// found returns the listed words that occur, each once. A cover must have one of
// them near its start, but trying all is cheap: few parts of a text are listed.
func (s spelling) found() []span {
	var out []span
	seen := map[string]bool{}
	for from := range s.plain {
		for to := from + minWord; to <= min(len(s.plain), from+maxWord); to++ {
			w := s.entry(commonList, from, to)
			if w == "" || seen[w] {
				continue
			}
			seen[w] = true
			out = append(out, span{from, to, w})
		}
	}
	return out
}

// free returns for each position where the parts end that begin there and cost
// nothing: runs, keyboard walks and context words.
func (s spelling) free(context []string) [][]int {
	ends := make([][]int, len(s.plain))
	for from := range s.plain {
		if to := from + runLength(s.plain[from:]); to-from >= minRun {
			for end := from + minRun; end <= to; end++ {
				ends[from] = append(ends[from], end)
			}
		}
		for end := from + minWalk; end <= from+walkLength(s.plain[from:]); end++ {
			ends[from] = append(ends[from], end)
		}
		for _, w := range context {
			if strings.HasPrefix(s.plain[from:], w) || strings.HasPrefix(s.i[from:], w) || strings.HasPrefix(s.l[from:], w) {
				ends[from] = append(ends[from], from+len(w))
			}
		}
	}
	return ends
}

// covered reports whether free parts, the given words and a few loose digits and
// signs make up the whole password.
func (s spelling) covered(free [][]int, words []span) bool {
	const never = maxLoose + 1
	loose := make([]int, len(s.plain)+1) // the fewest loose bytes up to here
	for i := range loose {
		loose[i] = never
	}
	loose[0] = 0
	for from := range s.plain {
		cost := loose[from]
		if cost >= never {
			continue
		}
		for _, to := range free[from] {
			loose[to] = min(loose[to], cost)
		}
		for _, w := range words {
			to := from + len(w.word)
			if to <= len(s.plain) && (s.plain[from:to] == w.word || s.i[from:to] == w.word || s.l[from:to] == w.word) {
				loose[to] = min(loose[to], cost)
			}
		}
		if c := s.plain[from]; c < 0x80 && (c < 'a' || c > 'z') {
			loose[from+1] = min(loose[from+1], cost+1)
		}
	}
	return loose[len(s.plain)] < never
}

// runLength is the length of the run at the start of s: each byte the same as the
// one before, or one more, or one less.
func runLength(s string) int {
	if len(s) < 2 || s[0] >= 0x80 {
		return len(s[:min(len(s), 1)])
	}
	step := int(s[1]) - int(s[0])
	if step < -1 || step > 1 {
		return 1
	}
	n := 2
	for n < len(s) && int(s[n])-int(s[n-1]) == step {
		n++
	}
	return n
}

// walkLength is the length of the longest keyboard walk at the start of s.
func walkLength(s string) int {
	longest := 0
	for _, w := range walks {
		for i := range len(w) {
			n := 0
			for n < len(s) && i+n < len(w) && s[n] == w[i+n] {
				n++
			}
			longest = max(longest, n)
			n = 0
			for n < len(s) && i-n >= 0 && s[n] == w[i-n] {
				n++
			}
			longest = max(longest, n)
		}
	}
	return longest
}

// periodic reports a password that repeats a group of at most four bytes three or
// more times, or, when it is too long to be taken apart, any group that could be a
// word.
func periodic(s string) bool {
	longest := 4
	if len(s) > maxParsed {
		longest = maxWord
	}
	for period := 1; period <= longest && 3*period <= len(s); period++ {
		if s[period:] == s[:len(s)-period] {
			return true
		}
	}
	return false
}

// inList looks an entry up by halving. An entry has at least one letter and no
// line end.
func inList(list, entry string) bool {
	if entry == "" || entry[0] == '#' || strings.ContainsRune(entry, '\n') {
		return false
	}
	start := 0
	for strings.HasPrefix(list[start:], "#") {
		start += strings.IndexByte(list[start:], '\n') + 1
	}
	body := list[start:]
	at := sort.Search(len(body), func(i int) bool { return lineAt(body, i) >= entry })
	return at < len(body) && lineAt(body, at) == entry
}

// lineAt returns the line that byte i is in.
func lineAt(body string, i int) string {
	from := strings.LastIndexByte(body[:i], '\n') + 1
	if body[i] == '\n' {
		return body[from:i]
	}
	to := strings.IndexByte(body[i:], '\n')
	return body[from : i+to]
}
