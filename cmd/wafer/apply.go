package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/wafer-auth/wafer/internal/web/manage"
)

type applyCommand struct {
	File string `short:"f" required:"" help:"The declared set-up, YAML." type:"existingfile" placeholder:"FILE"`
}

// Help is shown by wafer apply --help.
func (applyCommand) Help() string {
	return "What the file names is brought to what it says; what it does not name is left alone. A second time changes nothing.\n\nExample:\n  wafer apply -f setup.yaml"
}

// Run applies the file.
func (c *applyCommand) Run(e *env) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read set-up: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(c.File))
	if err != nil {
		return fmt.Errorf("find folder of set-up: %w", err)
	}
	return e.withNew(func(m *manager) error {
		var out manage.Applied
		if err := m.call(http.MethodPost, "/apply", manage.NewApply{YAML: string(text), Dir: dir}, &out); err != nil {
			return err
		}
		return e.show(out, func() { printReport(e, c.File, out.Changes, out.Warnings) })
	})
}
