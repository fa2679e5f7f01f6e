package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Build builds commands of this module, and of those it depends on, into a folder, static as they are shipped. Each binary
// has the name of its package. The working directory must be within the module.
func Build(ctx context.Context, dir string, packages ...string) error {
	args := append([]string{"build", "-ldflags=-s -w", "-o", dir + "/"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the caller's own packages
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(packages, " "), err, out)
	}

	return nil
}
