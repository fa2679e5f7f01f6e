// Package embeddedtest starts embedded servers for tests and closes them when the test ends.
//
// Each server has its own data directory under the test's temporary directory and a free port on the loopback
// interface, so tests with servers run in parallel.
package embeddedtest

import (
	"testing"

	"github.com/woodwork-go/woodwork/embedded"
)

// Run starts a server that listens on a free port of 127.0.0.1. It fails the test when the server does not start or
// does not close cleanly.
func Run(t testing.TB) *embedded.Server {
	t.Helper()

	return start(t, "127.0.0.1:-1")
}

// RunInProcess starts a server without a listener; connect with its InProcessConn.
func RunInProcess(t testing.TB) *embedded.Server {
	t.Helper()

	return start(t, "")
}

func start(t testing.TB, listen string) *embedded.Server {
	t.Helper()

	s, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: listen})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close embedded server: %v", err)
		}
	})

	return s
}

// RunCluster starts three servers that replicate to each other, on free ports of 127.0.0.1, and returns when JetStream
// can be used on all of them.
func RunCluster(t testing.TB) *embedded.Cluster {
	t.Helper()

	c, err := embedded.StartCluster(t.Context(), embedded.ClusterConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close embedded cluster: %v", err)
		}
	})

	return c
}
