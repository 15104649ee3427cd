package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func serverSuites() []suite {
	return []suite{
		{"server start, memory, binary", footprint},
		{"server discovery and JWKS", static},
		{"server client_credentials", clientCredentials},
		{"server introspection", introspection},
		{"server refresh", refreshes},
	}
}

// load is a way of asking a server for something. It returns an error for any
// answer but the wanted one.
type load func(c *http.Client) error

// throughput sends requests from some connections for a while and returns
// requests for each second of the server's own CPU time.
func throughput(p *process, connections int, ask load) (float64, error) {
	const slice = 700 * time.Millisecond
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	before, err := p.cpu()
	if err != nil {
		return 0, err
	}
	var count atomic.Int64
	var first atomic.Pointer[error]
	var wg sync.WaitGroup
	end := time.Now().Add(slice)
	for range connections {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := ask(client); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	after, err := p.cpu()
	if err != nil {
		return 0, err
	}
	return float64(count.Load()) / (after - before).Seconds(), nil
}

// against measures a load on wafer and a bare handler in turn and reports both.
func against(w, bare *process, row string, connections int, ask load, report func(figure)) error {
	var ours, floor []float64
	plain := get(bare.url + "/")
	for round := range rounds + 1 {
		a, err := throughput(w, connections, ask)
		if err != nil {
			return err
		}
		b, err := throughput(bare, connections, plain)
		if err != nil {
			return err
		}
		if round > 0 {
			ours, floor = append(ours, a), append(floor, b)
		}
	}
	report(figure{row, median(ours), "requests per core-second", "", rounds})
	report(figure{row, median(ours) / median(floor), "of bare", "bare net/http", rounds})
	return nil
}

func get(url string) load {
	return func(c *http.Client) error { return finish(c.Get(url)) }
}

func finish(res *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", res.StatusCode, b)
	}
	return nil
}

// pair starts wafer and a bare handler, runs do and stops both.
func pair(do func(w, bare *process) error) (err error) {
	bare, err := startBare()
	if err != nil {
		return err
	}
	defer bare.stop()
	w, err := startWafer()
	if err != nil {
		return err
	}
	defer w.stop()
	return do(w, bare)
}

func static(report func(figure)) error {
	return pair(func(w, bare *process) error {
		return errors.Join(
			against(w, bare, "discovery", 8, get(w.url+"/.well-known/openid-configuration"), report),
			against(w, bare, "JWKS", 8, get(w.url+"/.well-known/jwks.json"), report))
	})
}

func post(url, form string, basic [2]string) load {
	return func(c *http.Client) error {
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if basic[0] != "" {
			req.SetBasicAuth(basic[0], basic[1])
		}
		return finish(c.Do(req))
	}
}

var service = [2]string{"bench-service", "bench-service-secret-for-this-run"}

func clientCredentials(report func(figure)) error {
	return pair(func(w, bare *process) error {
		for alg, api := range map[string]string{"EdDSA": "https://eddsa.example", "HS256": "https://hs256.example", "RS256": "https://rs256.example"} {
			ask := post(w.url+"/oauth/token", "grant_type=client_credentials&resource="+api, service)
			if err := against(w, bare, "client_credentials "+alg, 8, ask, report); err != nil {
				return err
			}
		}
		return nil
	})
}

func introspection(report func(figure)) error {
	return pair(func(w, bare *process) error {
		s, err := w.signIn()
		if err != nil {
			return err
		}
		for name, form := range map[string]string{
			"JWT EdDSA": "token=" + s.access, "opaque": "token=" + s.opaque, "session cookie": "token=" + s.cookie + "&api=https://eddsa.example",
		} {
			if err := against(w, bare, "introspection "+name, 8, post(w.url+"/oauth/introspect", form, service), report); err != nil {
				return err
			}
		}
		return nil
	})
}

// refreshes turns families over from many connections at once: each answer was
// on disk before it was sent.
func refreshes(report func(figure)) error {
	return pair(func(w, bare *process) error {
		const families = 64
		pool := make(chan string, families)
		for range families {
			s, err := w.signIn()
			if err != nil {
				return err
			}
			pool <- s.refresh
		}
		return against(w, bare, "refresh, durable", families, func(c *http.Client) error {
			next, err := w.refresh(c, <-pool)
			if err == nil {
				pool <- next
			}
			return err
		}, report)
	})
}

func footprint(report func(figure)) error {
	binary, err := build()
	if err != nil {
		return err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	report(figure{"binary", float64(info.Size()) / 1e6, "MB", "", 1})
	w, err := startWafer()
	if err != nil {
		return err
	}
	data := w.data
	w.stop()
	var starts, memory []float64
	for range rounds {
		w, took, err := restart(data)
		if err != nil {
			return err
		}
		time.Sleep(1500 * time.Millisecond) // idle
		rss, err := w.rss()
		w.stop()
		if err != nil {
			return err
		}
		starts, memory = append(starts, took.Seconds()*1000), append(memory, rss)
	}
	report(figure{"restart to first 200", median(starts), "ms", "", rounds})
	report(figure{"idle RSS", median(memory), "MiB", "", rounds})
	return nil
}
