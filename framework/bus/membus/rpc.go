package membus

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

type handler = func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error

// endpoints are those that are served now.
type endpoints struct {
	mu     sync.Mutex
	served map[bus.Endpoint]*server
}

// server is one Serve. stopped and the running handlers share a lock so that stop waits for all that began.
type server struct {
	bus    *Bus
	at     bus.Endpoint
	ctx    context.Context //nolint:containedctx // the parent of every handler's context
	cancel context.CancelCauseFunc
	handle handler

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

// exchange is one call under way.
type exchange struct {
	ctx     context.Context //nolint:containedctx // the handler's
	replies chan *bus.Message
	end     chan error // buffered; what the call returns
	maxBody int
}

// Call implements [bus.RPC]. A reply is handed over when the caller asks for it, so none waits.
func (b *Bus) Call(ctx context.Context, to bus.Endpoint, request *bus.Message) iter.Seq2[*bus.Message, error] {
	return func(yield func(*bus.Message, error) bool) {
		err := b.call(ctx, to, request, func(m *bus.Message) bool { return yield(m, nil) })
		if err != nil {
			yield(nil, fmt.Errorf("call %.140s: %w", to, err))
		}
	}
}

// call returns nil when the replies ended or yield wants no more.
func (b *Bus) call(ctx context.Context, to bus.Endpoint, request *bus.Message, yield func(*bus.Message) bool) error {
	if err := checkCall(to, request, b.broker.cfg.MaxBody); err != nil {
		return err
	}

	if err := b.ready(ctx); err != nil {
		return err
	}

	s := b.broker.endpoints.of(to)
	if s == nil {
		return bus.ErrNoResponder
	}

	serving, cancel := s.context(ctx)
	defer cancel()

	x := &exchange{
		ctx: serving, replies: make(chan *bus.Message), end: make(chan error, 1), maxBody: b.broker.cfg.MaxBody,
	}
	if !s.start(x, copyMessage(request)) {
		return bus.ErrNoResponder
	}

	for {
		select {
		case m := <-x.replies:
			if !yield(m) {
				return nil
			}
		case err := <-x.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-b.done:
			return bus.ErrClosed
		case <-s.bus.done:
			return bus.ErrInterrupted
		}
	}
}

func checkCall(to bus.Endpoint, request *bus.Message, maxBody int) error {
	if err := checkEndpoint(to); err != nil {
		return err
	}

	return request.Check(maxBody)
}

func checkEndpoint(at bus.Endpoint) error {
	if err := checkID("component", at.Component); err != nil {
		return err
	}

	return checkID("instance", at.Instance)
}

// Serve implements [bus.RPC]. Close waits for handlers, too.
func (b *Bus) Serve(ctx context.Context, at bus.Endpoint, handle handler) (func(), error) {
	if err := checkEndpoint(at); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("serve %s: %w", at, err)
	}

	s := &server{bus: b, at: at, handle: handle}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.servers == nil {
		return nil, fmt.Errorf("serve %s: %w", at, bus.ErrClosed)
	}

	if b.servers[at] != nil {
		return nil, fmt.Errorf("serve %s, which this bus serves already: %w", at, bus.ErrInvalid)
	}

	b.servers[at] = s
	b.broker.endpoints.add(s)

	return func() { b.unserve(s) }, nil
}

// unserve ends a server after its handlers returned.
func (b *Bus) unserve(s *server) {
	b.mu.Lock()
	if b.servers[s.at] == s {
		delete(b.servers, s.at)
	}
	b.mu.Unlock()

	s.stop()
	s.cancel(nil)
}

func (s *server) stop() {
	s.bus.broker.endpoints.remove(s)

	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()

	s.running.Wait()
}

// context returns the context of a handler whose caller has ctx.
func (s *server) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(s.ctx, deadline)
	}

	return context.WithCancel(s.ctx)
}

// start begins to serve a request, unless the server has stopped.
func (s *server) start(x *exchange, request *bus.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.stopped {
		return false
	}

	s.running.Go(func() { x.finish(s.handle(x.ctx, request, x.reply)) })

	return true
}

func (x *exchange) reply(m *bus.Message) error {
	if err := m.Check(x.maxBody); err != nil {
		return fmt.Errorf("reply: %w", err)
	}

	if x.ctx.Err() != nil {
		return fmt.Errorf("reply: %w", context.Cause(x.ctx))
	}

	select {
	case x.replies <- copyMessage(m):
		return nil
	case <-x.ctx.Done():
		return fmt.Errorf("reply: %w", context.Cause(x.ctx))
	}
}

// finish tells the caller how the handler ended. A caller whose own context is over knows enough.
func (x *exchange) finish(err error) {
	switch {
	case err == nil:
		x.end <- nil
	case x.ctx.Err() == nil:
		x.end <- bus.Remote(err)
	}
}

func (e *endpoints) of(at bus.Endpoint) *server {
	e.mu.Lock()
	defer e.mu.Unlock()

	return e.served[at]
}

func (e *endpoints) add(s *server) {
	e.mu.Lock()
	defer e.mu.Unlock()

	if e.served == nil {
		e.served = make(map[bus.Endpoint]*server)
	}

	e.served[s.at] = s
}

func (e *endpoints) remove(s *server) {
	e.mu.Lock()
	defer e.mu.Unlock()

	if e.served[s.at] == s {
		delete(e.served, s.at)
	}
}

func copyMessage(m *bus.Message) *bus.Message {
	return &bus.Message{Header: maps.Clone(m.Header), Body: slices.Clone(m.Body)}
}

// stopServing ends the servers of a bus that was closed and waits for their handlers, or for ctx.
func stopServing(ctx context.Context, servers map[bus.Endpoint]*server) {
	for _, s := range servers {
		s.cancel(bus.ErrClosed)
	}

	ended := make(chan struct{})

	go func() {
		defer close(ended)

		for _, s := range servers {
			s.stop()
		}
	}()

	select {
	case <-ended:
	case <-ctx.Done():
	}
}
