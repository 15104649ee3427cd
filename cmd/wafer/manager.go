package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"

	"github.com/wafer-auth/wafer/internal/app"
	"github.com/wafer-auth/wafer/internal/config"
)

// manager speaks to the management API: over the control socket of the server
// that runs on the data folder, or, when none runs, to the same code in this
// process. Either way there is one path for every change.
type manager struct {
	ctx  context.Context
	http http.Client
	end  func() error
	// keepHouse does, until the returned function is called, what a running
	// server does in the background.
	keepHouse func() (stop func())
}

// manage opens the management API of the data folder.
func (e *env) manage() (*manager, error) {
	m := &manager{ctx: e.ctx, end: func() error { return nil }, keepHouse: func() func() { return func() {} }}
	rt, running := app.Dial(e.data)
	if running {
		m.http.Transport = rt
		return m, nil
	}
	cfg := config.Config{Data: e.data, KeyFile: e.keyFile, Database: e.database, Sessions: e.sessions, Issuer: app.LastIssuer(e.data)}.WithDefaults()
	a, err := app.New(e.ctx, app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	m.http.Transport, m.end, m.keepHouse = app.InProcess(a.Local()), a.Close, func() func() { return keepHouse(e.ctx, a) }
	return m, nil
}

func keepHouse(ctx context.Context, a *app.App) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.KeepHouse(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// refusal is what the management API says when it does not do something.
type refusal struct {
	Code    string `json:"error"`
	Message string `json:"message"`
	status  int
}

// Error is the sentence shown to the person at the terminal.
func (r *refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("the server answered %d %s", r.status, r.Code)
	}
	return r.Message
}

// call sends in as JSON and reads the answer into out. Either may be nil.
func (m *manager) call(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(m.ctx, method, "http://localhost/api/v1"+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := m.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	return read(res, out)
}

func read(res *http.Response, out any) error {
	const most = 16 << 20
	b, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode >= 300 {
		r := &refusal{status: res.StatusCode}
		if err := json.Unmarshal(b, r); err != nil {
			return fmt.Errorf("the server answered %s", res.Status)
		}
		return r
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// list reads every page of a register.
func list[T any](m *manager, path string) ([]T, error) {
	all := []T{}
	after := ""
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		u, err := url.Parse(path)
		if err != nil {
			return nil, fmt.Errorf("make request: %w", err)
		}
		q := u.Query()
		if after != "" {
			q.Set("after", after)
		}
		q.Set("limit", "200")
		u.RawQuery = q.Encode()
		if err := m.call(http.MethodGet, u.String(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		after = page.Next
	}
}

// with opens the management API of a data folder that is there, runs do, and
// closes it.
func (e *env) with(do func(m *manager) error) error {
	_, err := os.Stat(e.data)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no data folder %s\n  Name it with --data, or make one: wafer serve", e.data)
	}
	return e.withNew(do)
}

// withNew is with for commands that may be the first: a data folder that is not
// there is made.
func (e *env) withNew(do func(m *manager) error) error {
	m, err := e.manage()
	if err != nil {
		return err
	}
	return errors.Join(do(m), m.end())
}
