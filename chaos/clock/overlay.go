package clock

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	//go:embed time.txt
	timeText []byte
	//go:embed runtime.txt
	runtimeText []byte
)

// errUnknownSource: a file is not as this package knows it.
var errUnknownSource = errors.New("the source has changed; change package clock with it")

// Edit is a change of one source file for one build.
type Edit struct {
	// Path of the file.
	Path string
	// Old is what is there, exactly once, and New what takes its place.
	Old *regexp.Regexp
	New string
}

// Overlay writes into an existing folder what [go build] needs to build programs with a clock that can be set, and with
// edits of sources besides. It returns the path for the flag -overlay. The same edits give the same files, so that Go
// builds them once.
//
// [go build]: https://pkg.go.dev/cmd/go#hdr-Compile_packages_and_dependencies
func Overlay(ctx context.Context, dir string, edits ...Edit) (string, error) {
	src, err := Go(ctx, "env", "GOROOT")
	if err != nil {
		return "", err
	}
	src = filepath.Join(src, "src")
	replace := map[string]string{}
	put := func(path string, text []byte) error {
		own := filepath.Join(dir, fmt.Sprintf("overlay-%d.go", len(replace)))
		replace[path] = own

		return os.WriteFile(own, text, ownerOnly)
	}
	edits = append([]Edit{
		{
			Path: filepath.Join(src, "time", "time.go"),
			Old:  regexp.MustCompile(`(func Now\(\) Time \{\n\tsec, nsec, mono := runtimeNow\(\)\n)`),
			New:  "${1}\tsec, mono = sec+chaosWrong(), runtimeNano()\n",
		},
		{
			Path: filepath.Join(src, "runtime", "time_nofake.go"),
			Old:  regexp.MustCompile(`return nanotime1\(\)`),
			New:  "return nanotime1() - chaosStood()",
		},
	}, edits...)
	for _, e := range edits {
		text, err := e.apply()
		if err == nil {
			err = put(e.Path, text)
		}
		if err != nil {
			return "", fmt.Errorf("change %s: %w", e.Path, err)
		}
	}
	if err := errors.Join(put(filepath.Join(src, "time", "zchaos.go"), timeText),
		put(filepath.Join(src, "runtime", "zchaos.go"), runtimeText)); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")

	return path, os.WriteFile(path, text, ownerOnly)
}

func (e *Edit) apply() ([]byte, error) {
	text, err := os.ReadFile(e.Path)
	if err != nil {
		return nil, err
	}
	if len(e.Old.FindAllIndex(text, -1)) != 1 {
		return nil, errUnknownSource
	}

	return e.Old.ReplaceAll(text, []byte(e.New)), nil
}

// Go returns what a command of Go says.
func Go(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output() //nolint:gosec // the caller's own words
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}

	return strings.TrimSpace(string(out)), nil
}
