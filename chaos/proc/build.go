package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Build builds commands of this module, and of those it depends on, into a folder, static as they are shipped. Each binary
// has the name of its package. overlay is the file for Go's flag of that name, or "". The working directory must be within
// the module.
func Build(ctx context.Context, dir, overlay string, packages ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-overlay=" + overlay, "-o", dir + "/"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the caller's own packages
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(packages, " "), err, out)
	}

	return nil
}
