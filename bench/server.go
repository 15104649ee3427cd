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
	}
}

// load is a way of asking a server for something. It returns an error for any
// answer but the wanted one.
type load func(c *http.Client) error

// throughput sends requests from some connections for a while and returns
// requests for each second of the server's own CPU time.
func throughput(p *process, connections int, ask load) (float64, error) {
	const slice = 700 * time.Millisecond
	client := &http.Client{Transport: pooled(connections)}
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
				err := ask(client)
				if errors.Is(err, errOut) {
					return
				}
				if err != nil {
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

func get(url string) load {
	return func(c *http.Client) error { return finish(c.Get(url)) }
}

func finish(res *http.Response, err error) error {
	_, err = bodyOf(res, err)
	return err
}

// bodyOf reads an answer whose status must be 200.
func bodyOf(res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %.300s", res.StatusCode, b)
	}
	return b, nil
}

func post(url, form string, basic [2]string) load {
	return func(c *http.Client) error {
		_, err := posted(c, url, form, basic)
		return err
	}
}

// posted sends a form, with credentials when there are any.
func posted(c *http.Client, url, form string, basic [2]string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic[0] != "" {
		req.SetBasicAuth(basic[0], basic[1])
	}
	return bodyOf(c.Do(req))
}

var service = [2]string{"bench-service", "bench-service-secret-for-this-run"}

func footprint(report func(figure)) error {
	binary, err := build()
	if err != nil {
		return err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	report(figure{"binary", float64(info.Size()) / 1e6, "MB", "", 1}.atMost(30))
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
	report(figure{"restart to first 200", median(starts), "ms", "", rounds}.atMost(40))
	report(figure{"idle RSS", median(memory), "MiB", "", rounds}.atMost(30))
	return nil
}
