package redisbus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Why the context of a handler ends.
var (
	errCallerGone = errors.New("the caller is gone")
	errCallerLate = errors.New("the caller's time is over")
)

// handler is what serves a request.
type handler func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error

// endpoint is one that this process serves.
type endpoint struct {
	calls    *calls
	handle   handler
	stopping bool           // by calls.mu
	running  sync.WaitGroup // its handlers
}

// incoming is a call that is served here.
type incoming struct {
	calls  *calls
	key    string
	reply  string // channel of the caller
	call   string
	caller string // process
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	sent   uint64
	taken  uint64
	sizes  []int // of the replies between
	bytes  int   // their sum
	opened chan struct{}
}

// Serve calls handle for each request to the endpoint; see [bus.RPC].
func (b *Bus) Serve(ctx context.Context, at bus.Endpoint,
	handle func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error,
) (func(), error) {
	stop, err := b.serve(ctx, at, handle)
	if err != nil {
		return nil, fmt.Errorf("serve %.140s: %w", at, err)
	}

	return stop, nil
}

func (b *Bus) serve(ctx context.Context, at bus.Endpoint, handle handler) (func(), error) {
	channel, err := b.ns.RedisCall(at.Component, at.Instance)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	e := &endpoint{calls: b.calls, handle: handle}
	if err := b.calls.add(channel, e); err != nil {
		return nil, err
	}
	values := context.WithoutCancel(ctx)
	unsubscribe, err := b.hub.subscribe(ctx, channel, func(m *message) { e.receive(values, m.payload) }, nil)
	if err != nil {
		b.calls.remove(channel, e)

		return nil, err
	}

	return sync.OnceFunc(func() {
		e.stop()
		unsubscribe()
		b.calls.remove(channel, e)
	}), nil
}

func (c *calls) add(channel string, e *endpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return bus.ErrClosed
	}
	if c.endpoints[channel] != nil {
		return fmt.Errorf("this bus serves it already: %w", bus.ErrInvalid)
	}
	c.endpoints[channel] = e

	return nil
}

func (c *calls) remove(channel string, e *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endpoints[channel] == e {
		delete(c.endpoints, channel)
	}
}

// stop lets no more calls begin and waits for those in progress, which go on to hear of their callers.
func (e *endpoint) stop() {
	e.calls.mu.Lock()
	e.stopping = true
	e.calls.mu.Unlock()
	e.running.Wait()
}

// receive takes a note on the endpoint's channel.
func (e *endpoint) receive(ctx context.Context, payload string) {
	c := e.calls
	n, err := unpackNote(payload)
	if err != nil {
		c.bus.counts.Add(err)

		return
	}
	reply, err := c.bus.ns.RedisReplies(n.process)
	if err != nil {
		return // unpackNote has checked it
	}
	if n.kind != noteRequest {
		c.mu.Lock()
		in := c.incoming[keyOf(n)]
		c.mu.Unlock()
		if in != nil {
			in.follow(n)
		}

		return
	}
	if !e.begin(ctx, n, reply) {
		c.tell(ctx, reply, &note{kind: noteNobody, process: n.process, call: n.call, seq: 1})
	}
}

func keyOf(n *note) string { return n.process + "/" + n.call }

// begin starts a handler, or reports false when the endpoint is stopping.
func (e *endpoint) begin(ctx context.Context, n *note, reply string) bool {
	c := e.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.stopping || c.closed {
		return false
	}
	if c.incoming[keyOf(n)] != nil {
		return true // a repetition
	}
	ctx, cancel := context.WithCancelCause(ctx)
	in := &incoming{
		calls: c, key: keyOf(n), reply: reply, call: n.call, caller: n.process, cancel: cancel,
		opened: make(chan struct{}, 1),
	}
	c.incoming[in.key] = in
	c.running.Add(1)
	e.running.Go(func() {
		defer c.running.Done()
		in.serve(ctx, e.handle, n)
	})

	return true
}

// serve runs the handler and says how the replies ended.
func (in *incoming) serve(ctx context.Context, handle handler, n *note) {
	defer in.cancel(nil)
	limited := ctx
	if n.timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, n.timeout, errCallerLate)
		defer cancel()
	}
	err := handle(limited, n.message(), func(m *bus.Message) error { return in.send(limited, m) })
	in.calls.mu.Lock()
	delete(in.calls.incoming, in.key)
	in.calls.mu.Unlock()
	in.finish(limited, err)
}

// finish tells the caller how the replies ended, unless it knows.
func (in *incoming) finish(ctx context.Context, err error) {
	end := in.note(noteDone)
	end.seq = in.sent + 1
	if err != nil {
		remote := bus.Remote(err)
		end.kind, end.code, end.body = noteFailed, remote.Code, remote.Text
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errCallerGone) || errors.Is(cause, errCallerLate) {
			return
		}
		end = in.note(noteBroken)
	}
	_, _ = in.calls.insist(context.WithoutCancel(ctx), in.reply, end) // a caller that can't be told has its own deadline
}

func (in *incoming) note(kind string) *note {
	return &note{kind: kind, process: in.caller, call: in.call}
}

// send publishes a reply when there is room for one.
func (in *incoming) send(ctx context.Context, m *bus.Message) error {
	if err := m.Check(maxBody); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if err := in.room(ctx); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	n := in.note(noteReply)
	n.header, n.body = m.Header, string(m.Body)
	in.mu.Lock()
	in.sent++
	n.seq = in.sent
	in.sizes = append(in.sizes, len(n.body))
	in.bytes += len(n.body)
	in.mu.Unlock()
	heard, err := in.calls.publish(context.WithoutCancel(ctx), in.reply, n)
	switch {
	case err != nil:
		in.cancel(errBroke) // whether the caller got it, nobody knows
	case heard == 0:
		in.cancel(errCallerGone)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reply: %w", context.Cause(ctx))
	}

	return nil
}

// room waits until the caller is not too far behind.
func (in *incoming) room(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		in.mu.Lock()
		fits := len(in.sizes) < bus.RepliesWaiting && in.bytes < bus.BytesWaiting
		in.mu.Unlock()
		if fits {
			return nil
		}
		select {
		case <-in.opened:
		case <-ctx.Done():
		}
	}
}

// follow takes what the caller says behind its request.
func (in *incoming) follow(n *note) {
	switch n.kind {
	case noteLeft:
		in.cancel(errCallerGone)
	case noteTook:
		in.mu.Lock()
		for in.taken < min(n.seq, in.sent) {
			in.taken++
			in.bytes -= in.sizes[0]
			in.sizes = in.sizes[1:]
		}
		in.mu.Unlock()
		select {
		case in.opened <- struct{}{}:
		default:
		}
	}
}
