package repotest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Services returns the import paths of the commands under services.
func Services(files []*File) []string {
	var commands []string
	for _, f := range files {
		command := path.Join(module, f.folder())
		if f.Syntax != nil && !f.test() && f.under("services") && f.Syntax.Name.Name == "main" && !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}

	return commands
}

// Deps returns the import paths of all packages that are linked into a command. It asks the go command in root.
func Deps(ctx context.Context, root, command string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-deps", command) //nolint:gosec // a package of this repository
	cmd.Dir = root
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("list dependencies of %s: %w: %s", command, err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("list dependencies of %s: %w", command, err)
	}

	return strings.Fields(string(out)), nil
}

// Unwanted returns those of a service's dependencies that are of no use in it: test libraries and servers.
func Unwanted(deps []string) []string {
	banned := append(testLibraries(), "github.com/nats-io/nats-server", "github.com/stretchr/testify")

	return slices.DeleteFunc(slices.Clone(deps), func(dep string) bool {
		return !slices.ContainsFunc(banned, func(b string) bool { return within(dep, b) })
	})
}
