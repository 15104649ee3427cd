package records

import (
	"strconv"
	"strings"
)

// formatCursor writes where a walk goes on, "" at the end. The tag has no dot and
// differs each time a home is opened.
func formatCursor(tag string, next int) string {
	if next == 0 {
		return ""
	}
	return tag + "." + strconv.Itoa(next)
}

// parseCursor is the reverse. What another opening of the home wrote, or nobody,
// begins from the start: a record twice is allowed, never is not.
func parseCursor(tag, cursor string) int {
	place, ours := strings.CutPrefix(cursor, tag+".")
	n, err := strconv.Atoi(place)
	if !ours || err != nil || n < 0 {
		return Start
	}
	return n
}
