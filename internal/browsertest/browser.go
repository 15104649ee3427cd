package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is how long one step may take before it is a failure.
const patience = 20 * time.Second

// names are what Chromium is called.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// View is how a page is looked at. The zero View is a wide light one.
type View struct {
	Width, Height int64 // CSS pixels; 0: 1280 by 900
	Dark          bool
	NoScript      bool // JavaScript is off
}

// Tab is the one tab of a Chromium of its own, with an empty profile.
type Tab struct {
	t        testing.TB
	ctx      context.Context
	problems *problems
}

// Open starts a browser that ends with the test.
func Open(t testing.TB, v View) *Tab {
	t.Helper()
	path := find()
	if path == "" {
		if os.Getenv("WAFER_REQUIRE_SERVICES") == "1" {
			t.Fatal("Chromium is not installed, and WAFER_REQUIRE_SERVICES=1")
		}
		t.Skip("Chromium is not installed: what a real browser does with our pages is NOT tested here")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true),
	)
	tab := &Tab{t: t, problems: &problems{more: make(chan struct{})}}
	var stop context.CancelFunc
	tab.ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		// Waits for the process: its profile is removed next.
		if err := chromedp.Cancel(tab.ctx); err != nil {
			t.Logf("end Chromium: %v", err)
		}
		stop()
		cancel()
	})
	tab.prepare(v)
	return tab
}

// prepare starts the browser. The first Run gives the browser its life, so it must
// not have a deadline.
func (t *Tab) prepare(v View) {
	t.t.Helper()
	if v.Width == 0 {
		v.Width, v.Height = 1280, 900
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	chromedp.ListenTarget(t.ctx, t.problems.hear)
	err := chromedp.Run(t.ctx,
		emulation.SetDeviceMetricsOverride(v.Width, v.Height, 1, v.Width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		emulation.SetFocusEmulationEnabled(true), // as if the window were in front
		emulation.SetScriptExecutionDisabled(v.NoScript),
	)
	if err != nil {
		t.t.Fatalf("start Chromium: %v", err)
	}
}

func find() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
