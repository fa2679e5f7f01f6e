package composetest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// enable allows the tests to start containers.
const enable = "WOODWORK_CONTAINERS"

// needEngine skips the test where there is no container engine, and fails it where there is one that doesn't work.
func needEngine(t *testing.T) {
	t.Helper()

	if os.Getenv(enable) != "1" {
		t.Skipf("containers are not tested: %s is not 1; run make test-containers", enable)
	}

	reason, err := exec.CommandContext(t.Context(), root+"/deploy/engine.sh").Output()

	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		t.Skipf("CONTAINERS ARE NOT TESTED: %s", reason)
	}

	if err != nil {
		t.Fatalf("is there a container engine: %v", err)
	}

	if out, err := exec.CommandContext(t.Context(), "docker", "info").CombinedOutput(); err != nil {
		t.Fatalf("there is a container engine, but it does not work: docker info: %v\n%s", err, out)
	}
}

// docker runs a docker command and returns the words it prints.
func docker(t *testing.T, args ...string) []string {
	t.Helper()

	out, err := exec.CommandContext(t.Context(), "docker", args...).Output()
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}

	return strings.Fields(string(out))
}
