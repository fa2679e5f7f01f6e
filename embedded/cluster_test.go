package embedded_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
)

// connectCluster returns a client of all nodes that outlives each of them.
func connectCluster(t *testing.T, c *embedded.Cluster) client {
	t.Helper()

	return dial(t, strings.Join(c.URLs(), ","), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
}

// leader returns the index of the node that leads JetStream stream S.
func leader(t *testing.T, c *embedded.Cluster, js client) int {
	t.Helper()

	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}

	for i := range c.URLs() {
		if s.CachedInfo().Cluster.Leader == c.NodeName(i) {
			return i
		}
	}

	t.Fatalf("leader %q is not a node", s.CachedInfo().Cluster.Leader)

	return 0
}

// publish repeats a publish until a leader takes it.
func publish(t *testing.T, js client, text string) {
	t.Helper()

	for {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := js.Publish(ctx, "s", []byte(text))

		cancel()

		if err == nil {
			return
		}

		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestClusterSurvivesTheLossOfEachNode(t *testing.T) {
	t.Parallel()

	begin := time.Now()
	c := embeddedtest.RunCluster(t)
	t.Logf("the cluster was ready after %v", time.Since(begin).Round(time.Millisecond))

	js := connectCluster(t, c)
	store(t, js, 3, "first")

	for i := range c.URLs() {
		lost := leader(t, c, js)
		if err := c.Stop(lost); err != nil {
			t.Fatal(err)
		}

		if s := c.Server(lost); s != nil {
			t.Error("a stopped node has a server")
		}

		text := strings.Repeat("more", i+1)
		publish(t, js, text)

		if got := stored(t, js); got != text {
			t.Errorf("without node %d %q is stored, want %q", lost, got, text)
		}

		if err := c.Restart(t.Context(), lost); err != nil {
			t.Fatal(err)
		}

		if got := c.Server(lost).URL(); got != c.URLs()[lost] {
			t.Errorf("node %d is back as %s, want %s", lost, got, c.URLs()[lost])
		}
	}
}

func TestClusterDataSurvivesRestart(t *testing.T) {
	t.Parallel()

	cfg := embedded.ClusterConfig{Dir: t.TempDir(), SyncAlways: true}

	for _, want := range []string{"", "kept"} {
		c, err := embedded.StartCluster(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}

		js := connectCluster(t, c)
		if want == "" {
			store(t, js, 3, "kept")
		} else if got := stored(t, js); got != want {
			t.Errorf("after a restart %q is stored, want %q", got, want)
		}

		js.close()

		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClusterWithoutMajorityIsNotReady(t *testing.T) {
	t.Parallel()

	c := embeddedtest.RunCluster(t)
	if err := errors.Join(c.Stop(0), c.Stop(1), c.Stop(1)); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()

	if err := c.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one node of three: %v, want a deadline", err)
	}

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	if err := c.Restart(t.Context(), 0); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("restart after Close: %v, want ErrClosed", err)
	}

	if err := c.WaitReady(t.Context()); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("wait after Close: %v, want ErrClosed", err)
	}
}

func TestClusterNodeDirInUse(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	start(t, embedded.Config{Dir: dir + "/node-1"})

	if _, err := embedded.StartCluster(t.Context(), embedded.ClusterConfig{Dir: dir}); !errors.Is(err, embedded.ErrDirInUse) {
		t.Errorf("start on a directory in use: %v, want ErrDirInUse", err)
	}
}
