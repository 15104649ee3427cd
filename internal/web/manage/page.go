package manage

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// The sizes of a page.
const (
	defaultLimit = 100
	mostLimit    = 1000
)

// page is which rows of a list are wanted.
type page struct {
	after string
	limit int
	query url.Values
}

// readPage reads after and limit, and further parameters that the list knows.
// Anything else is refused: a filter that is not applied shows too much.
func readPage(r *http.Request, more ...string) (page, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return page{}, fault.Wrap(err, fault.Invalid, "The query cannot be read.")
	}
	for name, values := range q {
		if name != "after" && name != "limit" && !slices.Contains(more, name) {
			return page{}, fault.New(fault.Invalid, "This list does not know one of the query's parameters.")
		}
		if len(values) != 1 || !utf8.ValidString(values[0]) {
			return page{}, fault.New(fault.Invalid, "A parameter of the query is there twice, or is not text.")
		}
	}
	p := page{after: q.Get("after"), limit: defaultLimit, query: q}
	if text := q.Get("limit"); text != "" {
		p.limit, err = strconv.Atoi(text)
		if err != nil || p.limit < 1 || p.limit > mostLimit {
			return page{}, fault.New(fault.Invalid, "limit is between 1 and 1000.")
		}
	}
	return p, nil
}

// position reads after as a position in a log.
func (p page) position() (int64, error) {
	if p.after == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(p.after, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "after is a position: a whole number.")
	}
	return n, nil
}

// readOptional reads a JSON body, or leaves v as it is when there is no body.
func readOptional(r *http.Request, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	return middleware.JSON(r, v)
}

// answer writes a page. A full page may have a next one; name says how the last
// row is called.
func answer[From, To any](w http.ResponseWriter, p page, rows []From, shape func(From) To, name func(To) string) {
	out := List[To]{Items: make([]To, 0, len(rows))}
	for _, row := range rows {
		out.Items = append(out.Items, shape(row))
	}
	if len(rows) == p.limit {
		out.Next = name(out.Items[len(out.Items)-1])
	}
	respond.JSON(w, http.StatusOK, out)
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// when returns nil for the zero time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = second(t)
	return &t
}

// filled returns an empty list for nil: a client finds an array in any case.
func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func filledMap(m map[string][]string) map[string][]string {
	if m == nil {
		return map[string][]string{}
	}
	return m
}
