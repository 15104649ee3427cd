package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/opaque"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
)

// How many records one script takes on: nobody waits longer than for these.
const (
	endStep   = 200
	listStep  = 200
	purgeStep = 200
	touchStep = 100
)

var _ session.Home = (*Home)(nil)

// Add implements session.Home.
func (h *Home) Add(ctx context.Context, r session.Record) error {
	text, err := encode(r)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The session cannot be kept.")
	}
	answer, err := h.run(ctx, h.scripts.add, r.ID, secretText(r.Secret), r.UserID, r.ClientID, card(r.Session), text)
	if err != nil {
		return err
	}
	if slices.Equal(answer, []string{"taken"}) {
		return taken()
	}
	return nil
}

func taken() error { return fault.New(fault.Conflict, "The session's id or secret is taken.") }

// BySecret implements session.Home. It is one GET.
func (h *Home) BySecret(ctx context.Context, d opaque.Digest) (session.Record, bool, error) {
	key := h.recordKey(d)
	answer, err := h.do(ctx, h.client.B().Get().Key(key).Build())
	if err != nil {
		if strings.Contains(err.Error(), "WRONGTYPE") {
			err = h.foreign(key)
		}
		return session.Record{}, false, err
	}
	text, err := answer.ToString()
	if rueidis.IsRedisNil(err) {
		return session.Record{}, false, nil
	}
	if err != nil {
		return session.Record{}, false, h.foreign(key)
	}
	r, err := decode(text, d)
	if err != nil {
		return session.Record{}, false, h.foreign(key)
	}
	return r, true, nil
}

func (h *Home) recordKey(d opaque.Digest) string { return h.place.prefix + "r:" + secretText(d) }

// ByID implements session.Home.
func (h *Home) ByID(ctx context.Context, id string) (session.Record, bool, error) {
	return h.one(h.run(ctx, h.scripts.byID, id))
}

// Leave implements session.Home.
func (h *Home) Leave(ctx context.Context, id string) (session.Record, bool, error) {
	return h.one(h.run(ctx, h.scripts.leave, id))
}

// one reads the answer of a script: a secret and a record, or nothing.
func (h *Home) one(answer []string, err error) (session.Record, bool, error) {
	if err != nil {
		return session.Record{}, false, err
	}
	all, err := h.records(answer)
	if err != nil || len(all) == 0 {
		return session.Record{}, false, err
	}
	return all[0], true, nil
}

// records reads secrets, each followed by its record.
func (h *Home) records(answer []string) ([]session.Record, error) {
	all := make([]session.Record, 0, len(answer)/2)
	for pair := range slices.Chunk(answer, 2) {
		secret, err := readSecret(pair[0])
		if err != nil {
			return nil, h.foreign(h.place.prefix + "r:" + pair[0])
		}
		r, err := decode(pair[1], secret)
		if err != nil {
			return nil, h.foreign(h.recordKey(secret))
		}
		all = append(all, r)
	}
	return all, nil
}

// Of implements session.Home. The list is of one moment for each 200 of them.
func (h *Home) Of(ctx context.Context, owner revoke.Ref) ([]session.Record, error) {
	kind := ownerKind(owner)
	if kind == "" {
		return nil, nil
	}
	if kind == "s" {
		r, found, err := h.ByID(ctx, owner.Key)
		if err != nil || !found {
			return nil, err
		}
		return []session.Record{r}, nil
	}
	var all []session.Record
	for from := "-"; from != ""; {
		some, next, err := h.list(ctx, []string{kind, owner.Key, from}, listStep)
		if err != nil {
			return nil, err
		}
		all, from = append(all, some...), next
	}
	slices.SortFunc(all, func(a, b session.Record) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return all, nil
}

// ownerKind is what scripts call those whose sessions can be found, "" for
// everybody else: "no client" has none.
func ownerKind(ref revoke.Ref) string {
	switch {
	case ref.Kind == revoke.Session:
		return "s"
	case ref.Kind == revoke.User:
		return "u"
	case ref.Kind == revoke.Client && ref.Key != "":
		return "c"
	}
	return ""
}

func (h *Home) list(ctx context.Context, args []string, most int) (some []session.Record, next string, err error) {
	answer, err := h.run(ctx, h.scripts.list, append(args, strconv.Itoa(most))...)
	if err != nil {
		return nil, "", err
	}
	if len(answer)%2 == 0 {
		return nil, "", fmt.Errorf("redis: a list of %d texts", len(answer))
	}
	some, err = h.records(answer[1:])
	return some, answer[0], err
}

// Renew implements session.Home.
func (h *Home) Renew(ctx context.Context, old opaque.Digest, next session.Session) (bool, error) {
	amr, err := appendAMR(nil, next.AMR)
	if err != nil {
		return false, fault.Wrap(err, fault.Invalid, "The session cannot be kept.")
	}
	answer, err := h.run(ctx, h.scripts.renew, next.ID, secretText(old), secretText(next.Secret),
		micros(next.SeenAt), micros(next.IdleUntil), micros(next.AuthTime), string(amr))
	if err != nil {
		return false, err
	}
	if slices.Equal(answer, []string{"taken"}) {
		return false, taken()
	}
	return slices.Equal(answer, []string{"ok"}), nil
}

// Touch implements session.Home. All touches are on their way at once; others are
// served between any hundred.
func (h *Home) Touch(ctx context.Context, touches []session.Touch) (int, error) {
	var calls []rueidis.LuaExec
	for some := range slices.Chunk(touches, touchStep) {
		args := make([]string, 1, 1+3*len(some))
		args[0] = h.place.prefix
		for _, t := range some {
			args = append(args, t.ID, micros(t.Seen), micros(t.IdleUntil))
		}
		calls = append(calls, rueidis.LuaExec{Args: args})
	}
	if len(calls) == 0 {
		return 0, ctx.Err()
	}
	answers, err := await(ctx, h, func() []rueidis.RedisResult {
		return h.scripts.touch.ExecMulti(context.Background(), h.client, calls...)
	})
	if err != nil {
		return 0, err
	}
	total := 0
	for _, answer := range answers {
		texts, err := h.texts(answer)
		if err != nil {
			return total, err
		}
		n, err := strconv.Atoi(strings.Join(texts, " "))
		if err != nil {
			return total, fmt.Errorf("redis: answer to touches: %w", err)
		}
		total += n
	}
	return total, nil
}

// End implements session.Home. When it fails half-way the ids that did end come
// with the error. What cannot be read is an error, after all others have ended.
func (h *Home) End(ctx context.Context, ref revoke.Ref, seq int64) (ids []string, err error) {
	kind := ownerKind(ref)
	if kind == "" {
		return nil, ctx.Err()
	}
	for from := "-"; from != ""; {
		answer, failed := h.run(ctx, h.scripts.end, digits(seq), kind, ref.Key, from, strconv.Itoa(endStep))
		if failed != nil {
			return ids, failed
		}
		if len(answer) < 2 {
			return ids, fmt.Errorf("redis: answer to an end of %d texts", len(answer))
		}
		from, ids = answer[0], append(ids, answer[2:]...)
		if key := answer[1]; key != "" {
			err = h.foreign(key)
		}
	}
	return ids, err
}

// Purge implements session.Home. It also tells the ids of records that Redis
// dropped by itself, once they are past their limit. When it fails half-way the
// ids that are gone come with the error.
func (h *Home) Purge(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	for skip, more := 0, true; more && len(ids) < limit; {
		step := min(purgeStep, limit-len(ids))
		answer, failed := h.run(ctx, h.scripts.purge, micros(now), strconv.Itoa(skip), strconv.Itoa(step))
		if failed != nil {
			return ids, failed
		}
		if len(answer) < 3 {
			return ids, fmt.Errorf("redis: answer to a purge of %d texts", len(answer))
		}
		stay, wrong := strconv.Atoi(answer[1])
		if wrong != nil {
			return ids, fmt.Errorf("redis: answer to a purge: %w", wrong)
		}
		if key := answer[2]; key != "" {
			err = h.foreign(key)
		}
		more, skip, ids = answer[0] == "more", skip+stay, append(ids, answer[3:]...)
	}
	return ids, errors.Join(err, ctx.Err())
}

// Page implements session.Home: in the order of the ids.
func (h *Home) Page(ctx context.Context, cursor string, limit int) (some []session.Record, next string, err error) {
	if cursor != "" && cursor[0] != '(' {
		return nil, "", fault.New(fault.Invalid, "The cursor is not from here.")
	}
	next = cmp.Or(cursor, "-")
	for left := max(limit, 1); left > 0 && next != ""; {
		step := min(left, listStep)
		more, after, err := h.list(ctx, []string{"all", "", next}, step)
		if err != nil {
			return nil, "", err
		}
		some, next, left = append(some, more...), after, left-step
	}
	return some, next, nil
}

// Count implements session.Home. Records that Redis dropped by itself count until
// they are purged.
func (h *Home) Count(ctx context.Context) (int64, error) {
	key := h.place.prefix + "all"
	answer, err := h.do(ctx, h.client.B().Zcard().Key(key).Build())
	if err != nil {
		return 0, err
	}
	return answer.AsInt64()
}

// Ping implements session.Home: it writes a key that is soon gone.
func (h *Home) Ping(ctx context.Context) error {
	_, err := h.do(ctx, h.client.B().Set().Key(h.place.prefix+"ping").Value("1").PxMilliseconds(60_000).Build())
	return err
}

// Close implements session.Home.
func (h *Home) Close() error {
	h.close.Do(h.client.Close)
	return nil
}
