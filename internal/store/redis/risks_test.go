package redis_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/redistest"
	"github.com/wafer-auth/wafer/internal/revoke"
	"github.com/wafer-auth/wafer/internal/session"
	"github.com/wafer-auth/wafer/internal/store/redis"
)

func risks(t *testing.T, h session.Home) []string {
	t.Helper()
	all, err := h.Risks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRisksAreToldWithTheLineThatMendsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		conf []string
		want []string // a part of each sentence
	}{
		{"durable", redistest.Durable, nil},
		{"durable, full memory refuses", append([]string{"maxmemory 100mb", "maxmemory-policy noeviction"}, redistest.Durable...), nil},
		{"evicts without a limit", append([]string{"maxmemory-policy allkeys-lru"}, redistest.Durable...), nil},
		{"nothing", nil, []string{"signs everybody out: set \"appendonly yes\""}},
		{"snapshots", []string{"save 3600 1"}, []string{"snapshot now and then"}},
		{"every second", []string{"appendonly yes", "appendfsync everysec"}, []string{"two seconds: set \"appendfsync always\""}},
		{"whenever", []string{"appendonly yes", "appendfsync no"}, []string{"30 seconds: set \"appendfsync always\""}},
		{"evicts anything", append([]string{"maxmemory 100mb", "maxmemory-policy allkeys-lru"}, redistest.Durable...), []string{"(allkeys-lru)"}},
		{"evicts what goes anyway", append([]string{"maxmemory 100mb", "maxmemory-policy volatile-ttl"}, redistest.Durable...), []string{"(volatile-ttl)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, c.conf...)
			got := risks(t, open(t, s))
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %d", got, len(c.want))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], "Redis at "+s.Address()+" ") || !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q in it", got[i], want)
				}
			}
		})
	}
}

func TestReplicasNobodyWaitsForAreARisk(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, append([]string{"repl-diskless-sync-delay 0"}, redistest.Durable...)...)
	h := open(t, primary)
	if got := risks(t, h); len(got) != 0 {
		t.Fatalf("without replicas: %q", got)
	}
	host, port, _ := net.SplitHostPort(primary.Address())
	redistest.Start(t, "replicaof "+host+" "+port)
	eventually(t, "replica", func() bool {
		got := risks(t, h)
		return len(got) == 1 && strings.Contains(got[0], "min-replicas-to-write 1")
	})
	raw(t, primary)("CONFIG", "SET", "min-replicas-to-write", "1")
	if got := risks(t, h); len(got) != 0 {
		t.Errorf("with a replica that is waited for: %q", got)
	}
}

// TestServerThatBecameAReplica: what it refuses to write is Unavailable.
func TestServerThatBecameAReplica(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Durable...)
	h, do := open(t, s), raw(t, s)
	do("REPLICAOF", "127.0.0.1", "1")
	err := h.Add(t.Context(), record("s1", "ada"))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("add: %v", err)
	}
	if err := h.Ping(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("ping: %v", err)
	}
	if got := risks(t, h); len(got) != 1 || !strings.Contains(got[0], "become a replica") {
		t.Errorf("risks: %q", got)
	}
	do("REPLICAOF", "NO", "ONE")
	add(t, h, record("s1", "ada"))
}

// TestAccessListWithoutConfig: what may not be asked is told, not failed.
func TestAccessListWithoutConfig(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, append([]string{"user wafer on >pass ~wafer:* +@all -@admin -@dangerous", "user watched on >pass ~wafer:* +@all -@admin -@dangerous +info"},
		redistest.Durable...)...)
	h := openURL(t, "redis://wafer:pass@"+s.Address())
	r := record("s1", "ada")
	add(t, h, r)
	if !there(t, h, r) {
		t.Error("not found")
	}
	if n, err := h.Touch(t.Context(), []session.Touch{{ID: "s1", Seen: at(1), IdleUntil: at(time.Hour)}}); n != 1 || err != nil {
		t.Errorf("touch: %d, %v", n, err)
	}
	if _, err := h.End(t.Context(), revoke.Ref{Kind: revoke.User, Key: "ada"}, 1); err != nil {
		t.Error(err)
	}
	if got := risks(t, h); len(got) != 1 || !strings.Contains(got[0], "+config|get +info") {
		t.Errorf("neither CONFIG nor INFO: %q", got)
	}
	watched := openURL(t, "redis://watched:pass@"+s.Address())
	if got := risks(t, watched); len(got) != 1 || !strings.Contains(got[0], "allow CONFIG GET") {
		t.Errorf("INFO alone: %q", got)
	}
	if got := refusedWith(t, "redis://watched:pass@"+s.Address()+"?prefix=other:"); !strings.Contains(got, "access list") {
		t.Errorf("another's keys: %q", got)
	}
}

// TestFullMemoryRefusesTheNewAndKeepsTheOld: ending and purging still work.
func TestFullMemoryRefusesTheNewAndKeepsTheOld(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	h, do := open(t, s), raw(t, s)
	old, dead := record("old", "ada"), record("dead", "bob")
	add(t, h, old, dead)
	do("CONFIG", "SET", "maxmemory", "1")
	err := h.Add(t.Context(), record("new", "ada"))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Fatalf("add: %v", err)
	}
	if err := h.Ping(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("ping: %v", err)
	}
	if !there(t, h, old) {
		t.Error("the old one is gone")
	}
	if ids, err := h.End(t.Context(), revoke.Ref{Kind: revoke.User, Key: "ada"}, 1); err != nil || len(ids) != 1 {
		t.Errorf("end: %v, %v", ids, err)
	}
	if ids, err := h.Purge(t.Context(), at(2*time.Hour), 10); err != nil || len(ids) != 1 {
		t.Errorf("purge: %v, %v", ids, err)
	}
	do("CONFIG", "SET", "maxmemory", "0")
	add(t, h, record("new", "ada"))
	if n, err := h.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("count: %d, %v", n, err)
	}
}

// TestSnapshotThatFailedIsARisk: Redis then refuses writes, which is Unavailable.
func TestSnapshotThatFailedIsARisk(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "save 3600 1", "stop-writes-on-bgsave-error yes")
	h, do := open(t, s), raw(t, s)
	blocked := strings.TrimSuffix(s.Socket(), "redis.sock") + "dump.rdb"
	if err := os.MkdirAll(blocked+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	do("BGSAVE")
	eventually(t, "failed snapshot", func() bool {
		return strings.Contains(strings.Join(risks(t, h), "\n"), "last snapshot")
	})
	if err := h.Add(t.Context(), record("s1", "ada")); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "MISCONF") {
		t.Errorf("add: %v", err)
	}
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	do("BGSAVE")
	eventually(t, "snapshot", func() bool { return h.Add(t.Context(), record("s1", "ada")) == nil })
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s: did not come", what)
}

var _ session.Home = (*redis.Home)(nil)
