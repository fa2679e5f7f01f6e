//go:build unix

package terminal_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/output/terminal"
)

const helper = "WOODWORK_TEST_BROKEN_PIPE"

// A reader that goes away, as in "… | head -1", ends the process the way that shells expect: by SIGPIPE, silently.
func TestABrokenPipeEndsTheProcessQuietly(t *testing.T) {
	if os.Getenv(helper) != "" {
		writeForEver(t)
	}

	t.Parallel()

	var told strings.Builder

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), helper+"=1")
	cmd.Stderr = &told

	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	if _, err := io.ReadFull(out, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}

	if err := out.Close(); err != nil {
		t.Fatal(err)
	}

	exit := (*exec.ExitError)(nil)
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("exit = %v", err)
	}

	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGPIPE || told.Len() > 0 {
		t.Errorf("exit = %v and stderr %q, want SIGPIPE and nothing", exit, told.String())
	}
}

func writeForEver(t *testing.T) {
	t.Helper()

	r := terminal.NewRenderer(terminal.Config{Out: os.Stdout, Notices: os.Stderr})
	for {
		for _, e := range []stream.Event{
			{Kind: stream.KindOpened},
			{Kind: stream.KindChunk, Chunk: stream.Chunk{Data: []byte(strings.Repeat("x", 1000))}},
			{Kind: stream.KindEnd, End: stream.End{State: bus.Completed}},
		} {
			if err := r.Handle(stream.SessionEvent{Info: stream.Info{Type: bus.Text}, Event: e}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
