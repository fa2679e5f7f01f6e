package framework

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// Call sends a request to an instance of a component and returns the reply; an empty component leaves the choice to
// r.Capability. See [call.Request] for what can be asked, and [call.Error] for what can go wrong. r.Session, if any, is
// one of the client's sessions; the component gets its id on the bus. The first call opens the client's registry.
func (c *Client) Call(ctx context.Context, component string, r call.Request) ([]byte, error) {
	r, err := c.sign(r)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", component, err)
	}

	return c.call(ctx, component, r)
}

// Stream sends a request as Call does and yields the replies, in order, as they come.
func (c *Client) Stream(ctx context.Context, component string, r call.Request) iter.Seq2[[]byte, error] {
	r, err := c.sign(r)
	if err != nil {
		return func(yield func([]byte, error) bool) { yield(nil, fmt.Errorf("call %s: %w", component, err)) }
	}

	return c.stream(ctx, component, r)
}

// sign puts the session's id on the bus in place of the client's own: a component takes its word for it.
func (c *Client) sign(r call.Request) (call.Request, error) {
	if r.Session == "" {
		return r, nil
	}

	var err error
	r.Session, err = c.sessions.Name(r.Session)

	return r, err
}

// call sends a request that is signed.
func (c *Client) call(ctx context.Context, component string, r call.Request) ([]byte, error) {
	r.Component = component

	caller, err := c.calls.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", component, err)
	}

	return caller.Call(ctx, r)
}

// stream sends a request that is signed and yields the replies.
func (c *Client) stream(ctx context.Context, component string, r call.Request) iter.Seq2[[]byte, error] {
	r.Component = component

	return func(yield func([]byte, error) bool) {
		caller, err := c.calls.open(ctx, c)
		if err != nil {
			yield(nil, fmt.Errorf("call %s: %w", component, err))

			return
		}

		for body, err := range caller.Stream(ctx, r) {
			if !yield(body, err) {
				return
			}
		}
	}
}

// Breakers returns the circuit breakers of the components and instances that this client calls: what operators say of
// them holds from the first call on, or from when the registry was opened.
func (c *Client) Breakers() *breaker.Set { return c.calls.client.Breakers() }

// Call sends a request to an instance of a component and returns the reply, as [Client.Call] does, in the name of this
// turn. A turn that is cancelled cancels its calls.
func (t *Turn) Call(ctx context.Context, component string, r call.Request) ([]byte, error) {
	return t.client.call(ctx, component, t.sign(r))
}

// Stream sends a request as Call does and yields the replies, in order, as they come.
func (t *Turn) Stream(ctx context.Context, component string, r call.Request) iter.Seq2[[]byte, error] {
	return t.client.stream(ctx, component, t.sign(r))
}

var (
	_ call.Caller = (*Client)(nil)
	_ call.Caller = (*Turn)(nil)
)

// sign says in the request which turn it is from, whatever the handler has made of t's fields.
func (t *Turn) sign(r call.Request) call.Request {
	r.Session, r.Turn, r.Root = t.attempt.Record.Session, t.attempt.Record.ID, t.attempt.Record.Root

	return r
}

func (c *Config) callConfig() call.Config {
	calls := c.Calls
	calls.From = cmp.Or(calls.From, c.Name)

	return calls
}

// calls is what a client calls components with. It follows the registry from the first call on.
type calls struct {
	client *call.Client

	mu      sync.Mutex
	stop    context.CancelFunc // nil until the registry is followed
	running sync.WaitGroup
	closed  bool
}

func (o *calls) open(ctx context.Context, c *Client) (*call.Client, error) {
	r, err := c.Registry(ctx)
	if err != nil {
		return nil, err
	}

	o.mu.Lock()
	defer o.mu.Unlock()

	if o.closed {
		return nil, bus.ErrClosed
	}

	if o.stop == nil {
		ctx, o.stop = context.WithCancel(context.WithoutCancel(ctx))

		o.running.Go(func() { follow(ctx, r, o.client) })
	}

	return o.client, nil
}

// close ends what follows the registry. It is idempotent.
func (o *calls) close() {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.closed = true

	if o.stop != nil {
		o.stop()
	}

	o.running.Wait()
}

// follow ends the calls to instances that leave, and tells the breakers what those of other instances found out.
func follow(ctx context.Context, r *registry.Registry, caller *call.Client) {
	for e := range r.Events(ctx) {
		switch {
		case e.Kind == registry.Left, e.Kind == registry.Broke && e.Gone:
			caller.Left(bus.Endpoint{Component: e.Instance.Component, Instance: e.Instance.ID})
		case e.Kind == registry.Resync:
			caller.Recheck()
		case e.Kind == registry.Changed:
			hint(caller.Breakers(), e.Instance.Breakers)
		}
	}
}

// hint tells breakers which of another instance's are not closed, but for those that an operator forced.
func hint(breakers *breaker.Set, others []breaker.Status) {
	for _, s := range others {
		if s.Mode == breaker.Auto && !s.Usual() {
			breakers.Hint(s.Name, s.State)
		}
	}
}

// listing is a registry as calls see it.
type listing struct{ registry *registry.Registry }

var _ call.Directory = listing{}

// Ready implements [call.Directory].
func (l listing) Ready(component, capability string) []call.Instance {
	found := l.registry.Find(registry.Query{Component: component, Capability: capability, State: registry.Ready})
	out := make([]call.Instance, 0, len(found))

	for _, i := range found {
		out = append(out, call.Instance{
			Endpoint: bus.Endpoint{Component: i.Component, Instance: i.ID}, Running: i.Load.Running, Limit: i.Load.Limit,
		})
	}

	return out
}

// Has implements [call.Directory].
func (l listing) Has(instance bus.Endpoint) bool {
	return len(l.registry.Find(registry.Query{Component: instance.Component, Instance: instance.Instance})) > 0
}

// serveCalls serves the component's operations, if it has any, and returns what stops that: it refuses further requests
// at once, and those in progress may go on for Config.Drain.
func (s *Service) serveCalls(ctx context.Context, cfg *Config, c *Client, self *presence) (stop func(), err error) {
	if len(s.Calls) == 0 {
		return func() {}, nil
	}

	at := bus.Endpoint{Component: s.Name, Instance: self.Instance().ID}

	server, err := call.Serve(ctx, c.bus, at, s.Calls, call.ServerConfig{
		Limit: s.CallLimit, Observe: self.served, Tracer: c.trace,
	})
	if err != nil {
		return nil, err
	}

	self.serves(server)

	drain := max(cmp.Or(cfg.Drain, 20*time.Second), 0)

	return sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()

		server.Stop(ctx)
	}), nil
}
