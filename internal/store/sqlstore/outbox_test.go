package sqlstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/outbox"
	"github.com/wafer-auth/wafer/internal/store/sqlstore"
)

func TestOutboxUsesIndexesOfPostgreSQL(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	s := node(t, url)
	for _, query := range sqlstore.OutboxQueries {
		plan, err := s.FarPlan(t.Context(), query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s\nreads all of a table:\n%s", query, plan)
		}
	}
}

// Two nodes that feed and claim at once: every step is made by one of them, and no
// message is held by both.
func TestNodesShareAnOutbox(t *testing.T) {
	t.Parallel()
	url, _ := process.Database(t)
	nodes := []*sqlstore.Store{node(t, url), node(t, url)}
	ctx := t.Context()
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	const steps = 40
	var mu sync.Mutex
	claimed := map[string]int{}
	var all sync.WaitGroup
	for i, s := range nodes {
		all.Go(func() {
			for {
				from, err := s.TopicPlace(ctx, "logout")
				if err != nil || from >= steps {
					check(t, err)
					return
				}
				m := outbox.NewMessage("logout", fmt.Sprint("c", from%3), nil, now)
				_, err = s.AdvanceTopic(ctx, outbox.Advance{Topic: "logout", From: from, To: from + 1, Add: []outbox.Message{m}})
				check(t, err)
				some, err := s.ClaimMessages(ctx, outbox.Claim{
					Topic: "logout", To: m.To, Holder: fmt.Sprint("n", i), Now: now, Until: now.Add(time.Minute), Limit: 1,
				})
				check(t, err)
				for _, one := range some {
					mu.Lock()
					claimed[one.ID]++
					mu.Unlock()
					_, err := s.SettleMessages(ctx, []outbox.Settlement{{ID: one.ID, To: one.To, Holder: fmt.Sprint("n", i), Verdict: outbox.Giving, At: now}})
					check(t, err)
				}
			}
		})
	}
	all.Wait()
	messages, err := nodes[0].Messages(ctx, outbox.Which{Limit: 1000})
	check(t, err)
	if len(messages) != steps+1 { // the step out of Unread is one too
		t.Errorf("%d messages, want %d", len(messages), steps+1)
	}
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("message %s was claimed %d times", id, n)
		}
	}
	if len(claimed) == 0 {
		t.Error("nothing was claimed")
	}
}
