package sessions

import (
	"slices"
	"testing"
)

// The table is what the black-box tests walk; this keeps both in step.
func TestTableIsSortedAndPrivateButForSignIn(t *testing.T) {
	t.Parallel()
	var names, public []string
	for _, row := range routes {
		names = append(names, row.path+" "+row.method)
		if (row.public == nil) == (row.private == nil) {
			t.Errorf("%s %s: exactly one of public and private", row.method, row.path)
		}
		if row.public != nil {
			public = append(public, row.method+" "+row.path)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("not sorted: %q", names)
	}
	if !slices.Equal(public, []string{"POST /session"}) || len(routes) != 7 {
		t.Errorf("%d rows, public %q: the tests of this package walk other ones", len(routes), public)
	}
}
