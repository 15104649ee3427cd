package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// format is how keys and records are written, as doc.go and record.go say.
const format = "1"

// suits refuses a server that cannot keep our records. HELLO tells all of it, and
// is never forbidden.
func (h *Home) suits(ctx context.Context) error {
	answer, err := h.do(ctx, h.client.B().Arbitrary("HELLO").Build())
	if err != nil {
		if strings.Contains(err.Error(), "unknown command") {
			return errors.New("it is older than Redis 6.2, the oldest that will do")
		}
		return err
	}
	server, err := answer.AsMap()
	if err != nil {
		return fmt.Errorf("it does not say what it is: %w", err)
	}
	told := func(name string) string {
		m := server[name]
		text, err := m.ToString()
		if err != nil {
			return ""
		}
		return text
	}
	if version := told("version"); !recent(version) {
		return fmt.Errorf("it is %s %s; Redis 6.2 is the oldest that will do", told("server"), version)
	}
	switch mode := told("mode"); mode {
	case "cluster":
		return errors.New("it is part of a cluster, which is not supported; use a single server, with replicas if wanted (cluster-enabled no)")
	case "sentinel":
		return errors.New("it is a sentinel, which keeps no data; name the server itself")
	}
	if role := told("role"); role != "master" {
		return fmt.Errorf("it is a %s, which can only be read; name the server it replicates", role)
	}
	return h.written(ctx)
}

// recent reports whether a version is 6.2 or later.
func recent(version string) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	minor, err := strconv.Atoi(second)
	return major > 6 || err == nil && major == 6 && minor >= 2
}

// written claims the prefix, and refuses one where another version writes
// otherwise.
func (h *Home) written(ctx context.Context) error {
	key := h.place.prefix + "format"
	if _, err := h.do(ctx, h.client.B().Setnx().Key(key).Value(format).Build()); err != nil {
		return err
	}
	answer, err := h.do(ctx, h.client.B().Get().Key(key).Build())
	if err != nil {
		return err
	}
	if is, err := answer.ToString(); err != nil || is != format {
		return fmt.Errorf("the key %q does not hold %q: what is there was written by another version, or is not Wafer's; use another prefix", key, format)
	}
	return nil
}
