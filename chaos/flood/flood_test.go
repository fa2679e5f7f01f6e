package flood_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/flood"
	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
)

const (
	// server tells a copy of this test's process to be the broker, in this folder.
	server = "WOODWORK_TEST_FLOOD_SERVER"
	// long asks for the whole flood: 1 GB at 1 MB/s, which takes 20 minutes, with its effect on others.
	long = "WOODWORK_FLOOD_LONG"

	// heapBound is what the process may need: the windows, the readers' queues, and as much again until the garbage of
	// it is collected, with some room for a quiet process.
	heapBound = 64 << 20
	// window is how far ahead the producer may be: the window, and the chunks that both sides have in hand.
	window = 4<<20 + 2*4<<10
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(server); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}

		return
	}

	goleak.VerifyTestMain(m)
}

// serve is a broker until its standard input ends.
func serve(dir string) error {
	s, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}

	fmt.Fprintln(os.Stdout, s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)

	return s.Close()
}

// startServer starts the broker as a process of its own, so that its memory is not counted.
func startServer(t *testing.T) string {
	t.Helper()

	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), server+"="+t.TempDir())
	cmd.Stderr = os.Stderr

	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}

	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // by then the test's context has ended it
	})

	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}

	return strings.TrimSpace(url)
}

// TestFloodIsHeldBack has a producer of 1 GB and a reader of 1 MB/s for some seconds, or to the end if that is asked for.
func TestFloodIsHeldBack(t *testing.T) {
	t.Parallel()

	b, err := natsbus.Open(t.Context(), natsbus.Config{URL: startServer(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.WithoutCancel(t.Context())) }()

	cfg := flood.Config{Bus: b, Duration: 3 * time.Second}
	whole := os.Getenv(long) != ""

	if whole {
		cfg.Duration = -1
	}

	report, err := flood.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Log(report)

	if report.Ahead > window || report.Sent < 4e6 || report.Read == 0 || whole && (report.Read < 1e9 || report.Read != report.Sent) {
		t.Errorf("sent %d bytes, read %d, ahead %d, want at most %d ahead", report.Sent, report.Read, report.Ahead, window)
	}

	if report.Heap > heapBound {
		t.Errorf("the heap grew to %d bytes", report.Heap)
	}

	if whole && report.Ratio() >= 2 {
		t.Errorf("chunks of others took %.2f times as long", report.Ratio())
	}
}
