package composetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// composeCommand is how to call Compose, such as "docker compose", from the repository's root.
	composeCommand = "WOODWORK_COMPOSE"
	root           = "../.."
	downTimeout    = time.Minute
)

// project is a Compose project of its own: name, volumes, network and free ports on the host.
type project struct {
	name string
	env  []string
}

// newProject returns a project that is not running yet and removes all of it when the test ends.
func newProject(t *testing.T) *project {
	t.Helper()

	p := &project{
		name: "woodwork-test-" + strings.ToLower(rand.Text()[:8]),
		// Port 0 is a free one. Nothing of this machine's settings may reach the test.
		env: append(os.Environ(), "WOODWORK_NATS_PORT=0", "WOODWORK_INPUT_PORT=0", "WOODWORK_OUTPUT_PORT=0",
			"WOODWORK_BIND=127.0.0.1", "WOODWORK_TAG=latest", "WOODWORK_PROVIDER=offline", "WOODWORK_EVENTS_URL=http://output"),
	}

	t.Cleanup(func() { p.remove(t) })

	return p
}

// remove shows what happened if the test failed, and removes containers, network and volumes.
func (p *project) remove(t *testing.T) {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), downTimeout)
	defer cancel()

	if t.Failed() {
		for _, args := range [][]string{{"ps", "--all"}, {"logs", "--no-color", "--tail=100"}} {
			out, err := p.command(ctx, args...).CombinedOutput()
			t.Logf("compose %v: %v\n%s", args, err, out)
		}
	}

	if out, err := p.command(ctx, "down", "--volumes", "--remove-orphans", "--timeout=5").CombinedOutput(); err != nil {
		t.Errorf("compose down: %v\n%s", err, out)
	}
}

func (p *project) command(ctx context.Context, args ...string) *exec.Cmd {
	compose := strings.Fields(os.Getenv(composeCommand))
	if len(compose) == 0 {
		compose = []string{"docker", "compose"}
	}

	compose = append(compose, "--project-name", p.name, "--env-file", os.DevNull, "--progress", "plain")
	compose = append(compose, args...)

	cmd := exec.CommandContext(ctx, compose[0], compose[1:]...)
	cmd.Dir = root
	cmd.Env = p.env

	return cmd
}

// run runs a Compose command and returns what it prints on stdout.
func (p *project) run(t *testing.T, args ...string) string {
	t.Helper()

	var stderr bytes.Buffer

	cmd := p.command(t.Context(), args...)
	cmd.Stderr = &stderr

	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("compose %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}

	return strings.TrimSpace(string(out))
}

// up starts what isn't running and returns when all services are healthy. It never builds: that is make's part.
func (p *project) up(t *testing.T, args ...string) {
	t.Helper()

	p.run(t, append([]string{"up", "--detach", "--no-build", "--wait", "--wait-timeout=120"}, args...)...)
}

// containers returns the ids of a service's running containers.
func (p *project) containers(t *testing.T, service string) []string {
	t.Helper()

	return strings.Fields(p.run(t, "ps", "--quiet", "--status=running", service))
}

// url returns the address on this machine of a port of a service.
func (p *project) url(t *testing.T, service string, port int) string {
	t.Helper()

	return "http://" + p.run(t, "port", service, fmt.Sprint(port))
}

// leftovers returns the containers, volumes and networks of the project that are there.
func (p *project) leftovers(t *testing.T) []string {
	t.Helper()

	label := "--filter=label=com.docker.compose.project=" + p.name
	left := docker(t, "ps", "--all", "--quiet", label)
	left = append(left, docker(t, "volume", "ls", "--quiet", label)...)

	return append(left, docker(t, "network", "ls", "--quiet", label)...)
}
