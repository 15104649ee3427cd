package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// figure is one measured row.
type figure struct {
	Row   string  `json:"row"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor string  `json:"floor,omitempty"`
	N     int     `json:"n"`
}

// atMost says in a figure what its budget is, and whether it was met.
func (f figure) atMost(budget float64) figure { return f.judged("<=", budget, f.Value <= budget) }

// atLeast is atMost for figures of which more is better.
func (f figure) atLeast(budget float64) figure { return f.judged(">=", budget, f.Value >= budget) }

func (f figure) judged(sign string, budget float64, met bool) figure {
	verdict := "MISSED"
	if met {
		verdict = "met"
	}
	f.Floor = strings.TrimPrefix(fmt.Sprintf("%s; budget %s %g: %s", f.Floor, sign, budget, verdict), "; ")
	return f
}

// suite is a group of rows that are measured together, interleaved.
type suite struct {
	name string
	run  func(report func(figure)) error
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		serveBare(os.Args[2])
		return
	}
	if len(os.Args) == 5 && os.Args[1] == "guarded" {
		serveGuarded(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	pick, err := regexp.Compile(os.Getenv("BENCH"))
	if err != nil {
		fail(fmt.Errorf("BENCH: %w", err))
	}
	fmt.Fprintf(os.Stderr, "%s, %d cores, %s\n", runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.RFC3339))
	var all []figure
	report := func(f figure) {
		all = append(all, f)
		b, _ := json.Marshal(f)
		fmt.Println(string(b))
	}
	for _, s := range suites() {
		if !pick.MatchString(s.name) {
			continue
		}
		if err := s.run(report); err != nil {
			fail(fmt.Errorf("%s: %w", s.name, err))
		}
	}
	table(all)
}

func suites() []suite {
	return slices.Concat(joseSuites(), serverSuites(), endpointSuites(), sessionSuites(), guardedSuites(), firstSightSuites(), setSuites(), fanoutSuites())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func table(all []figure) {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\nrow\tvalue\tunit\tfloor\tn")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%.3g\t%s\t%s\t%d\n", f.Row, f.Value, f.Unit, f.Floor, f.N)
	}
	w.Flush()
}

// contender is one way of doing the same work.
type contender struct {
	name string
	do   func() error
}

const rounds = 7

// race runs the contenders in turn, round after round, and returns the median
// CPU nanoseconds of one call of each. Interleaving and medians keep what else
// the machine does out of the ratio.
func race(all []contender) (map[string]float64, error) {
	times, err := laps(rounds, all)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for name, t := range times {
		out[name] = median(t)
	}
	return out, nil
}

// laps is race with each round's time. Those of one round are neighbors in time.
func laps(n int, all []contender) (map[string][]float64, error) {
	times := map[string][]float64{}
	for round := range n + 1 {
		for _, c := range all {
			ns, err := cpuPerCall(c.do)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 { // the first warms up
				times[c.name] = append(times[c.name], ns)
			}
		}
	}
	return times, nil
}

// ratio is the median of a's part of b, round by round.
func ratio(a, b []float64) float64 {
	parts := make([]float64, len(a))
	for i := range a {
		parts[i] = a[i] / b[i]
	}
	return median(parts)
}

// cpuPerCall repeats do for about 60 ms and returns CPU nanoseconds a call, user
// and system, of the whole process.
func cpuPerCall(do func() error) (float64, error) {
	const slice = 60 * time.Millisecond
	start, begin, calls := cpu(), time.Now(), 0
	for batch := 1; time.Since(begin) < slice; batch = min(batch*2, 4096) {
		for range batch {
			if err := do(); err != nil {
				return 0, err
			}
		}
		calls += batch
	}
	return float64(cpu()-start) / float64(calls), nil
}

// cpu is the CPU time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median[T cmp.Ordered](v []T) T {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

func rowName(parts ...string) string { return strings.Join(parts, " ") }
