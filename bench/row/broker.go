package row

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/internal/redisproc"

	"github.com/woodwork-go/woodwork/bench/lane"
)

// Env is what the rows run on. A broker starts when it is first asked for, and ends with Close.
type Env struct {
	Scale

	closers []func() error
}

// Close ends everything, in reverse order.
func (e *Env) Close() error {
	var errs []error
	for _, f := range slices.Backward(e.closers) {
		errs = append(errs, f())
	}

	e.closers = nil

	return errors.Join(errs...)
}

func (e *Env) onClose(f func() error) { e.closers = append(e.closers, f) }

// nats starts a server with a file store, reached over loopback, and returns its address. Every row has its own, so that
// no row pays for what another one stored.
func (e *Env) nats(ctx context.Context) (string, error) {
	s, err := embedded.Start(ctx, embedded.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		return "", err //nolint:wrapcheck // a StartError says all there is to say
	}

	e.onClose(s.Close)

	return s.URL(), nil
}

// cluster starts three servers.
func (e *Env) cluster(ctx context.Context) (string, error) {
	c, err := embedded.StartCluster(ctx, embedded.ClusterConfig{})
	if err != nil {
		return "", err //nolint:wrapcheck // a StartError says all there is to say
	}

	e.onClose(c.Close)

	return strings.Join(c.URLs(), ","), nil
}

// redis starts a server whose log is synced every second.
func (e *Env) redis(ctx context.Context) (*redisproc.Server, error) {
	dir, err := os.MkdirTemp("", "bench-redis-")
	if err != nil {
		return nil, fmt.Errorf("make folder for Redis: %w", err)
	}

	e.onClose(func() error { return os.RemoveAll(dir) })

	s, err := redisproc.Start(ctx, redisproc.Config{Dir: dir, Fsync: redisproc.EverySecond})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what to do
	}

	e.onClose(func() error {
		s.Kill()

		return nil
	})

	return s, nil
}

// bus opens a bus on JetStream.
func (e *Env) bus(ctx context.Context, url string) (bus.Bus, error) {
	b, err := natsbus.Open(ctx, natsbus.Config{URL: url})
	if err != nil {
		return nil, err //nolint:wrapcheck // a DialError says all there is to say
	}

	e.onClose(func() error { return b.Close(context.WithoutCancel(ctx)) })

	return b, nil
}

// woodwork opens the lanes of a bus.
func (e *Env) woodwork(b bus.Bus) *lane.Woodwork {
	w := lane.NewWoodwork(b)
	e.onClose(func() error {
		w.Close()

		return nil
	})

	return w
}

// raw connects to a server without anything in between.
func (e *Env) raw(ctx context.Context, url string, replicas int) (*lane.NATS, error) {
	n, err := lane.ConnectNATS(ctx, url, replicas)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}

	e.onClose(func() error {
		n.Close()

		return nil
	})

	return n, nil
}
