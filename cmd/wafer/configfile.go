package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// yamlFlags reads the file named by --config: flags of serve by their long
// names. A name that is no flag is an error, so that a typing mistake is not a
// silent default.
func yamlFlags(r io.Reader) (kong.Resolver, error) {
	values := fileFlags{}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read config file: %w", err)
	}
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	return values, nil
}

type fileFlags map[string]any

// Validate refuses names that no flag has.
func (f fileFlags) Validate(app *kong.Application) error {
	var known []string
	for _, group := range app.AllFlags(false) {
		for _, flag := range group {
			known = append(known, flag.Name)
		}
	}
	for _, cmd := range app.Children {
		if cmd.Name != "serve" {
			continue
		}
		for _, flag := range cmd.Flags {
			known = append(known, flag.Name)
		}
	}
	for name := range f {
		if !slices.Contains(known, name) {
			return fmt.Errorf("config file: serve has no flag --%s", name)
		}
	}
	return nil
}

// Resolve gives the value of one flag.
func (f fileFlags) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := f[flag.Name]
	if !ok {
		return nil, nil
	}
	return v, nil
}
