package framework

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/monitor"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// presence is this process among the instances of its component: what the registry and the health endpoint say of it.
type presence struct {
	*registry.Member

	bus      bus.Bus
	over     chan error // gets the outcome of the member
	monitor  *monitor.Monitor
	breakers func() []breaker.Status
	limit    int // turns at once

	server  atomic.Pointer[call.Server] // nil while no calls are served
	backlog atomic.Pointer[bus.Backlog] // nil while it is not known
	running atomic.Int64
	turns   counter
	calls   counter
}

// defaultConcurrency is how many turns an instance takes when nothing else is said.
const defaultConcurrency = 64

// newPresence describes the instance; nobody sees it before join.
func newPresence(s *Service, cfg *Config, c *Client, health *health) (*presence, error) {
	p := &presence{
		bus: c.bus, over: make(chan error, 1), monitor: monitor.New(cfg.Monitor),
		breakers: c.obedience.statuses,
	}

	if s.Handler != nil {
		p.limit = cmp.Or(s.Concurrency, defaultConcurrency)
	}

	host, _ := os.Hostname() // a machine without a name has none to show

	var err error

	p.Member, err = registry.NewMember(c.bus, registry.MemberConfig{
		Instance: registry.Instance{
			ID: cfg.Instance, Component: s.Name, Type: cmp.Or(s.Kind, s.Name), Capabilities: s.Capabilities,
			Version: cmp.Or(s.Version, Version()), Started: time.Now().UTC(), Host: host, PID: os.Getpid(),
			Endpoint: health.endpoint(host),
		},
		TTL: cfg.RegistryTTL, Heartbeat: cfg.Heartbeat, Logger: cfg.Logger,
		Report: p.report,
	})
	if err != nil {
		return nil, &UsageError{err}
	}

	return p, nil
}

// serves makes the calls that a server serves part of the load.
func (p *presence) serves(s *call.Server) { p.server.Store(s) }

func (p *presence) report() registry.Report {
	load := registry.Load{Running: int(p.running.Load()), Limit: p.limit}

	if s := p.server.Load(); s != nil {
		running, most := s.Load()
		load.Running += running
		load.Limit += most
	}

	turns := p.turns.read()

	return registry.Report{
		Load:   load,
		Stats:  registry.Stats{Turns: turns.Done, Errors: turns.Failed, Busy: turns.Busy},
		Lately: p.monitor.Report(), Breakers: told(p.breakers()), Problem: p.monitor.Problem(),
		Connection: p.bus.Connection(), Backlog: p.backlog.Load(),
	}
}

// join registers the instance and keeps it registered until leave, which waits for the end of that. An instance with an
// id of its own choice waits until it has it; others begin their work meanwhile, and the bus may be slow to answer.
func (p *presence) join(ctx context.Context, named bool) (leave func(), err error) {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))

	var kept sync.WaitGroup

	kept.Go(func() { p.over <- p.Run(keeping) })

	if p.limit > 0 {
		kept.Go(func() { p.watchBacklog(keeping) })
	}

	leave = func() { stop(); kept.Wait() }

	if !named {
		return leave, nil
	}

	select {
	case <-p.Joined():
		return leave, nil
	case err = <-p.over:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}

	leave()

	return nil, err
}

// guard returns the reason when the instance can't be registered any longer, such as that another one took its id. When
// ctx ends it announces the drain.
func (p *presence) guard(ctx context.Context) error {
	select {
	case err := <-p.over:
		return err
	case <-ctx.Done():
		p.settle(nil)

		return nil
	}
}

// settle announces what the instance ends as.
func (p *presence) settle(err error) {
	if err != nil {
		_ = p.Become(registry.Failed, oneLine(err)) // allowed in every state that it can be in

		return
	}

	_ = p.Become(registry.Draining, "") // the same
}

// counted counts the turns that a handler works on.
func (p *presence) counted(next turn.Handler) turn.Handler {
	return func(ctx context.Context, a *turn.Attempt) error {
		begun, fine, returned := time.Now(), false, false

		p.running.Add(1)

		defer func() {
			p.running.Add(-1)
			p.turns.count(time.Since(begun), !fine)

			if !returned { // it panicked
				p.monitor.Observe(time.Since(begun), true)
			}
		}()

		err := next(ctx, a)
		fine, returned = err == nil, true

		p.worked(ctx, time.Since(begun), err)

		return err
	}
}

var (
	errState   = errors.New("the instance does not take work")
	errBus     = errors.New("the connection to the bus is lost")
	errMissing = errors.New("the broker has lost a part of the application's data")
	errListed  = errors.New("the registry was not reached lately")
)

// alive returns why the process should be replaced, or nil.
func (p *presence) alive() error {
	if ender, ok := p.bus.(bus.Ender); ok && ender.Err() != nil {
		return fmt.Errorf("the bus has ended: %w", ender.Err())
	}

	if i := p.Instance(); i.State == registry.Failed {
		return fmt.Errorf("%s: %w", i.State, errState)
	}

	return nil
}

// ready returns why the instance should get no work, or nil.
func (p *presence) ready() error {
	if err := p.alive(); err != nil {
		return err
	}

	if i := p.Instance(); i.State != registry.Ready {
		return fmt.Errorf("%s: %w", i.State, errState)
	}

	if err := p.connected(); err != nil {
		return err
	}

	if !p.Listed() {
		return errListed
	}

	return nil
}

// connected returns why the instance can't be told of work, or nil. A short interruption is none: for half of the time to
// live of its entry others see no difference, and work goes on by itself when the bus has reconnected.
func (p *presence) connected() error {
	c := p.bus.Connection()
	i := p.Instance()

	if down := time.Since(c.Since); !c.Up && down > time.Duration(i.TTL)*time.Second/2 {
		return fmt.Errorf("%w for %v: %s", errBus, down.Round(time.Second), c.Reason)
	}

	if c.Missing != "" {
		return fmt.Errorf("%w: %s", errMissing, c.Missing)
	}

	return nil
}

// endpoint is the address of the health endpoint for others, or empty.
func (h *health) endpoint(host string) string {
	if h == nil {
		return ""
	}

	addr, port, err := net.SplitHostPort(h.addr)
	if err != nil {
		return h.addr
	}

	if ip := net.ParseIP(addr); ip != nil && ip.IsUnspecified() {
		addr = host
	}

	return "http://" + net.JoinHostPort(addr, port)
}
