package framework

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/framework/affinity"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// Run runs a service until ctx ends or its Run function returns, then drains it: no more turns are taken, running
// ones may go on for Config.Drain, what is left is handed over to other instances, and the bus is closed. It returns
// nil after a drain, and the reason when the bus or the service can't go on.
func Run(ctx context.Context, s Service, cfg Config) error {
	if err := s.validate(); err != nil {
		return &UsageError{err}
	}

	if cfg.Name == "" {
		cfg.Name = s.Name
	}

	cfg.Logger = cfg.Logger.With().Str("component", s.Name).Logger()

	client, err := Connect(ctx, cfg)
	if err != nil {
		return ignoreEnd(ctx, err)
	}

	runErr := runOn(ctx, s, cfg, client)

	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()

	return errors.Join(runErr, client.Close(closing))
}

// runOn runs everything that needs the open bus.
func runOn(ctx context.Context, s Service, cfg Config, client *Client) error {
	info := client.Info()
	cfg.Logger.Info().Str("bus", info.URL).Str("kind", info.Kind).Str("durability", string(info.Durability)).
		Str("version", Version()).Msg("connected")

	health, err := startHealth(ctx, cfg.Health)
	if err != nil {
		return err
	}
	defer health.close(context.WithoutCancel(ctx))

	self, err := newPresence(&s, &cfg, client, health)
	if err != nil {
		return err
	}

	client.obedience.serve(&s, self.Refresh)
	health.watch(self)

	leave, err := self.join(ctx, cfg.Instance != "")
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer leave()

	conceal := self.announce(ctx, &s, &cfg)
	defer conceal()

	err = work(ctx, s, cfg, client, self)
	self.settle(err)
	cfg.Logger.Info().Msg("stopped")

	return err
}

// work sets the service up and runs it until its drain is over.
func work(ctx context.Context, s Service, cfg Config, client *Client, self *presence) error {
	client.heed(ctx)

	if s.Setup != nil {
		if err := s.Setup(ctx, client); err != nil {
			return fmt.Errorf("set up: %w", err)
		}
	}

	stopCalls, err := s.serveCalls(ctx, &cfg, client, self)
	if err != nil {
		return err
	}
	defer stopCalls()

	if err := self.Become(registry.Ready, ""); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)

	defer stop()

	if end, ok := client.bus.(bus.Ender); ok {
		group.Go(func() error { return watch(ctx, end) })
	}

	if len(s.Calls) > 0 {
		group.Go(func() error { <-ctx.Done(); stopCalls(); return nil })
	}

	if s.Handler != nil {
		group.Go(func() error {
			return newWorker(s, cfg, client, self.Instance().ID).Run(ctx, self.counted(s.attempt(client)))
		})
	}

	if s.Run != nil {
		group.Go(func() error {
			defer stop()

			return s.Run(ctx, client)
		})
	}

	group.Go(func() error { return self.guard(ctx) })
	group.Go(func() error { return self.sickness(ctx) })

	return ignoreEnd(ctx, group.Wait())
}

// watch returns the reason when the bus ends for good.
func watch(ctx context.Context, b bus.Ender) error {
	select {
	case <-b.Done():
		return fmt.Errorf("the bus has ended: %w", b.Err())
	case <-ctx.Done():
		return nil
	}
}

// ignoreEnd drops the error of a loop that ended because it was told to.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}

	return err //nolint:wrapcheck // the group's functions say what they were doing
}

func newWorker(s Service, cfg Config, c *Client, id string) *turn.Worker {
	box := c.bus
	if s.Affinity {
		box = affinity.New(c.bus, affinity.Config{Instance: id, TTL: cfg.SessionTTL, Logger: cfg.Logger})
	}

	return turn.NewWorker(box, c.store, turn.Config{
		Component: s.Name, To: s.To, Policy: s.OnCrash, Type: s.Type, Concurrency: s.Concurrency,
		MaxAttempts: s.MaxAttempts, MaxDeaths: s.MaxDeaths, MaxDuration: s.MaxDuration, Idle: s.Idle,
		Drain: cfg.Drain, Instance: instance(), Tracer: c.trace, Logger: cfg.Logger,
	})
}

// instance names this process where its failures are listed.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}

	return host + "/" + strconv.Itoa(os.Getpid())
}

// attempt adapts the service's handler to what the worker calls.
func (s *Service) attempt(c *Client) turn.Handler {
	handle := s.wrapped()

	return func(ctx context.Context, a *turn.Attempt) error {
		t, err := newTurn(ctx, c, s.Name, a)
		if err != nil {
			return err
		}

		return c.during(ctx, a.Record.Session, func() error { return handle(ctx, t) })
	}
}

// Version returns the version of the main module as the build recorded it, or "devel".
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}

	return "devel"
}
