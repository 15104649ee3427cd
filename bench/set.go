package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wafer-auth/wafer/verify/revocation"
)

// The set that a verifier keeps: what one look costs, and what one entry weighs.

func setSuites() []suite {
	return []suite{
		{"set lookup", setLookup},
		{"memory-set", setMemory},
	}
}

const (
	setSubjects = 4096 // credentials that are looked up in turn
	setRounds   = 15
	setSlice    = 30 * time.Millisecond
	setBudget   = 30 // ns for all keys of a credential, among a million entries
	farAway     = 1 << 40
)

// setSecret hashes names as a feed does.
var setSecret = revocation.Secret{7, 1, 3}

func setLookup(report func(figure)) error {
	runtime.LockOSThread() // its CPU time is the readers'
	defer runtime.UnlockOSThread()
	for _, n := range []int{1000, 1_000_000} {
		if err := lookups(n, report); err != nil {
			return err
		}
	}
	return nil
}

// filled is a set with so many entries; some of them are sessions of the credentials
// that revoked returns. Nothing covers those of live. As in life, they share a few
// clients, one API and one key.
func filled(n int) (s *revocation.Set, live, revoked []revocation.Keys) {
	s = revocation.NewSet()
	subjects := min(setSubjects, n/2)
	for i := range n - subjects {
		s.Add(entryOf(uint64(i), farAway))
	}
	for i := range subjects {
		of := revocation.Subject{
			TokenID: "tok" + strconv.Itoa(i), SessionID: "ses" + strconv.Itoa(i), GrantID: "grt" + strconv.Itoa(i), Subject: "usr" + strconv.Itoa(i),
			ClientID: "shop" + strconv.Itoa(i%8), API: "https://orders.example", KeyID: "bench-key",
		}
		live = append(live, setSecret.Keys(of))
		of.SessionID = "revoked" + strconv.Itoa(i)
		revoked = append(revoked, setSecret.Keys(of))
		s.Add(revocation.Entry{Kind: revocation.Session, Key: setSecret.Key(revocation.Session, of.SessionID), Seq: 1, KeepUntil: farAway})
	}
	return s, live, revoked
}

// entryOf makes an entry whose key is as random as a hash.
func entryOf(i uint64, keepUntil int64) revocation.Entry {
	var name [8]byte
	binary.BigEndian.PutUint64(name[:], i)
	return revocation.Entry{Kind: revocation.Session, Key: setSecret.Key(revocation.Session, string(name[:])), Seq: int64(i) + 1, KeepUntil: keepUntil}
}

func lookups(n int, report func(figure)) error {
	s, live, revoked := filled(n)
	rand.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	took := map[string][]float64{}
	for round := range setRounds + 1 {
		for _, writing := range []bool{false, true} {
			stop := func() {}
			suffix := ""
			if writing {
				stop, suffix = writer(s), ", while written to"
			}
			absent, err1 := perLook(s, live, false)
			present, err2 := perLook(s, revoked, true)
			stop()
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if round > 0 {
				took["absent"+suffix] = append(took["absent"+suffix], absent)
				took["present"+suffix] = append(took["present"+suffix], present)
			}
		}
	}
	for _, what := range []string{"absent", "absent, while written to", "present", "present, while written to"} {
		f := figure{fmt.Sprintf("set lookup, %d entries, all 8 keys %s", n, what), median(took[what]), "ns CPU", "", setRounds}
		if n >= 1_000_000 && what[:6] == "absent" {
			f = f.atMost(setBudget)
		}
		report(f)
	}
	return nil
}

// writer adds a thousand entries a second, until stop: then they expire, which builds
// the whole table anew.
func writer(s *revocation.Set) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wrote sync.WaitGroup
	wrote.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := uint64(1 << 40); ctx.Err() == nil; i++ {
			<-tick.C
			s.Add(entryOf(i, 1))
		}
	})
	return func() {
		cancel()
		wrote.Wait()
		s.Expire(2)
	}
}

// perLook returns the CPU nanoseconds of this thread for one credential.
func perLook(s *revocation.Set, all []revocation.Keys, want bool) (float64, error) {
	begin, start, looks := time.Now(), threadCPU(), 0
	for time.Since(begin) < setSlice {
		for i := range all {
			if s.Covers(&all[i], 0) != want {
				return 0, fmt.Errorf("credential %d: covered is not %t", i, want)
			}
		}
		looks += len(all)
	}
	return float64(threadCPU()-start) / float64(looks), nil
}

// threadCPU is the CPU time of the calling thread.
func threadCPU() time.Duration {
	const thisThread = 1 // RUSAGE_THREAD of getrusage(2), which package syscall has no name for
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// setMemory weighs sets: at round sizes, and where a table is as full as it gets and
// one entry later.
func setMemory(report func(figure)) error {
	for _, n := range []int{1000, 10_000, 100_000, 699_050, 699_051, 1_000_000, 1_398_100} {
		var weights []float64
		for range 3 {
			weights = append(weights, weigh(n))
		}
		w := median(weights)
		report(figure{fmt.Sprintf("memory-set, %d entries", n), w / 1e6, "MB", "", len(weights)})
		report(figure{fmt.Sprintf("memory-set, %d entries", n), w / float64(n), "bytes an entry", "", len(weights)})
	}
	return nil
}

// weigh returns the bytes of a set with so many entries, tables that it has outgrown
// not counted.
func weigh(n int) float64 {
	before := heap()
	s := revocation.NewSet()
	for i := range n {
		s.Add(entryOf(uint64(i), farAway))
	}
	after := heap()
	if s.Len() != n {
		panic("two names with one hash")
	}
	return float64(after) - float64(before)
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
