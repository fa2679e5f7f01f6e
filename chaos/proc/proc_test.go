//go:build unix

package proc_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a shell script that tells by a pipe when it begins.
func start(t *testing.T, script string) (p *proc.Process, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	p, err := proc.Start(t.Context(), proc.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)

	return p, log
}

func TestOutputIsKept(t *testing.T) {
	t.Parallel()
	p, log := start(t, "echo out; echo err >&2")
	<-p.Exited()
	if text, err := os.ReadFile(log); err != nil || string(text) != "out\nerr\n" {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestKillReachesChildrenToo(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "alive")
	// The child holds the pipe open for as long as it lives.
	p, _ := start(t, "mkfifo "+pipe+"; (echo up; exec /bin/sleep 60) > "+pipe+" & wait")
	var alive *os.File
	for alive == nil {
		alive, _ = os.Open(pipe) // waits for the child once the pipe exists
	}
	defer alive.Close()
	buf := make([]byte, 10)
	if n, err := alive.Read(buf); err != nil || strings.TrimSpace(string(buf[:n])) != "up" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	p.Kill()
	if n, _ := alive.Read(buf); n != 0 { // the end of the pipe: nobody writes any more
		t.Errorf("the child lives: %q", buf[:n])
	}
	p.Kill() // harmless
	p.Pause()
}

func TestKillEndsAPausedProcess(t *testing.T) {
	t.Parallel()
	p, _ := start(t, "exec /bin/sleep 60")
	p.Pause()
	p.Kill()
	<-p.Exited()
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	if addr, err := proc.FreeAddress(t.Context()); err != nil || !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Errorf("address %q, %v", addr, err)
	}
}
