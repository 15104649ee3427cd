package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
)

func TestIsSeesThroughWrapping(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("outside: %w", fault.Wrap(io.EOF, fault.Conflict, "Taken."))
	if !fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) || fault.Is(io.EOF, fault.Conflict) {
		t.Error("Is does not find the code")
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
}

func TestRetryCopies(t *testing.T) {
	t.Parallel()
	one := fault.New(fault.TooMany, "Later.")
	two := one.Retry(time.Second)
	if one.RetryAfter != 0 || two.RetryAfter != time.Second || two.Public != one.Public {
		t.Errorf("%+v, %+v", one, two)
	}
}
