package natsbus

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/embedded"
)

// serverDir, serverListen and serverFile tell a copy of this test's process to be a server.
const (
	serverDir    = "WOODWORK_TEST_SERVER_DIR"
	serverListen = "WOODWORK_TEST_SERVER_LISTEN"
	serverFile   = "WOODWORK_TEST_SERVER_FILE"
)

// serverProcess is a server in a process of its own, which can be killed and started again on the same address and data.
type serverProcess struct {
	dir, file, url string
	kill           func()
}

// runServer starts a server that runs until the test ends. file is the path of its configuration, or empty.
func runServer(t *testing.T, file string) *serverProcess {
	t.Helper()

	s := &serverProcess{dir: t.TempDir(), file: file, kill: func() {}}
	t.Cleanup(func() { s.kill() })
	s.start(t)

	return s
}

// start starts a server, again where it was when it ran before, and returns when it listens.
func (s *serverProcess) start(t testing.TB) {
	t.Helper()

	listen := cmp.Or(strings.TrimPrefix(s.url, "nats://"), "127.0.0.1:-1")
	// It must not end before what the test's own clean-up closes.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestServerProcess$")
	cmd.Env = append(os.Environ(), serverDir+"="+s.dir, serverListen+"="+listen, serverFile+"="+s.file)
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())(t)
	out := bufio.NewScanner(must(cmd.StdoutPipe())(t))

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	s.kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = in.Close()
	}

	for out.Scan() {
		if url, ok := strings.CutPrefix(out.Text(), "listening on "); ok {
			s.url = url

			return
		}
	}

	t.Fatalf("the server ended: %v", out.Err())
}

// TestServerProcess is a server where a test of this package started it, until it is killed or that test's process
// ends; elsewhere it is nothing.
func TestServerProcess(t *testing.T) {
	t.Parallel()

	dir := os.Getenv(serverDir)
	if dir == "" {
		return
	}

	s := must(embedded.Start(t.Context(), embedded.Config{
		Dir: dir, Listen: os.Getenv(serverListen), File: os.Getenv(serverFile),
	}))(t)
	fmt.Fprintln(os.Stdout, "listening on", s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)

	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
