package natsbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// probeEvery is how often a handler that waits for its caller asks whether that is still there.
const probeEvery = 2 * time.Second

// errCallerGone is the end of a handler's context whose caller left or died.
var errCallerGone = fmt.Errorf("the caller left: %w", context.Canceled)

type handler = func(ctx context.Context, request *bus.Message, reply func(*bus.Message) error) error

// server is one Serve.
type server struct {
	ctx     context.Context //nolint:containedctx // the parent of every handler's context
	handle  handler
	subject string
	stopped bool // under the lock of calls
	running sync.WaitGroup
}

// incoming is a call whose handler runs.
type incoming struct {
	calls   *calls
	id      uint64
	subject string          // of the request
	reply   string          // of the replies
	ctx     context.Context //nolint:containedctx // the handler's
	cancel  context.CancelCauseFunc
	release context.CancelFunc

	seq  uint64        // of the last reply
	room chan struct{} // buffered; the caller took something

	mu    sync.Mutex
	taken uint64 // sequence of the last reply that the caller took
	sizes []int  // of those after it
	bytes int    // of those together
}

// Serve subscribes to the requests to an endpoint; see [bus.RPC]. When it returns, this server knows of it; others of
// its cluster learn it within moments.
func (b *Bus) Serve(ctx context.Context, at bus.Endpoint, handle handler) (func(), error) {
	subject, err := b.ns.Call(at.Component, at.Instance)
	if err != nil {
		return nil, fmt.Errorf("serve: %w: %w", bus.ErrInvalid, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("serve %s: %w", at, err)
	}
	s := &server{ctx: context.WithoutCancel(ctx), handle: handle, subject: subject}
	stop, err := b.calls.serve(s)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", at, err)
	}
	flush, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(flush); err != nil {
		stop()

		return nil, fmt.Errorf("serve %s: %w", at, mapError(err))
	}

	return stop, nil
}

func (c *calls) serve(s *server) (stop func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return nil, c.closed
	}
	for _, other := range c.servers {
		if other.subject == s.subject {
			return nil, fmt.Errorf("this bus serves it already: %w", bus.ErrInvalid)
		}
	}
	sub, err := c.nc.ChanSubscribe(s.subject, c.queue)
	if err != nil {
		return nil, mapError(err)
	}
	c.servers[sub] = s

	return func() { c.stop(sub, s) }, nil
}

// stop ends a server. Requests that are under way to it are drained, and answered that nobody serves them.
func (c *calls) stop(sub *nats.Subscription, s *server) {
	c.mu.Lock()
	delete(c.servers, sub)
	s.stopped = true
	c.mu.Unlock()
	_ = sub.Drain() // fails on a closed connection only, which has no subscriptions
	s.running.Wait()
}

// begin starts the handler of a request, or reports that nobody serves it.
func (c *calls) begin(m *nats.Msg, timeout time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.servers[m.Sub]
	if s == nil || s.stopped || c.closed != nil {
		return false
	}
	if c.byReply[m.Reply] != nil {
		return true // a repetition; the first one is being served
	}
	c.last++
	in := &incoming{
		calls: c, id: c.last, subject: m.Subject, reply: m.Reply, room: make(chan struct{}, 1),
	}
	in.ctx, in.cancel = context.WithCancelCause(s.ctx)
	in.release = func() {}
	if timeout > 0 {
		in.ctx, in.release = context.WithTimeout(in.ctx, timeout)
	}
	c.incoming[in.id] = in
	c.byReply[in.reply] = in
	c.running.Add(1)
	s.running.Go(func() {
		defer c.running.Done()
		defer in.forget()
		in.end(s.handle(in.ctx, decodeMessage(m), in.send))
	})

	return true
}

func (in *incoming) forget() {
	in.cancel(nil)
	in.release()
	in.calls.mu.Lock()
	defer in.calls.mu.Unlock()
	delete(in.calls.incoming, in.id)
	delete(in.calls.byReply, in.reply)
}

// follow handles what the caller sends after its request.
func (in *incoming) follow(m *nats.Msg) {
	if value(m.Header, headerLeft) != "" {
		in.cancel(errCallerGone)

		return
	}
	seq, ok := parseUint(value(m.Header, headerReceived), 10)
	if !ok {
		in.calls.drop()

		return
	}
	in.mu.Lock()
	for ; in.taken < seq && len(in.sizes) > 0; in.taken++ {
		in.bytes -= in.sizes[0]
		in.sizes = in.sizes[1:]
	}
	in.mu.Unlock()
	select {
	case in.room <- struct{}{}:
	default:
	}
}

// send is what the handler replies with.
func (in *incoming) send(m *bus.Message) error {
	if err := m.Check(maxBody(in.calls.nc)); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if err := in.wait(len(m.Body)); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	out := encodeMessage(in.reply, m)
	out.Reply = in.calls.subject(in.id) // there the server says so when the caller is gone
	in.seq++
	setSeq(out, headerSeq, in.seq)
	if err := in.calls.nc.PublishMsg(out); err != nil {
		in.cancel(interrupted(err))

		return fmt.Errorf("reply: %w", interrupted(err))
	}

	return nil
}

// wait returns when there is room for one more reply.
func (in *incoming) wait(size int) error {
	if in.ctx.Err() != nil {
		return context.Cause(in.ctx)
	}
	if in.reserve(size) {
		return nil
	}
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for !in.reserve(size) {
		select {
		case <-in.room:
		case <-in.ctx.Done():
			return context.Cause(in.ctx)
		case <-probe.C: // is nothing to the caller, but brings the server's word when that is gone
			in.calls.tell(&nats.Msg{
				Subject: in.reply, Reply: in.calls.subject(in.id), Header: nats.Header{headerProbe: {"1"}},
			})
		}
	}

	return nil
}

func (in *incoming) reserve(size int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.sizes) >= bus.RepliesWaiting || in.bytes >= bus.BytesWaiting {
		return false
	}
	in.sizes = append(in.sizes, size)
	in.bytes += size

	return true
}

// end tells the caller how the replies ended, unless the caller's own end was first.
func (in *incoming) end(err error) {
	m := &nats.Msg{Subject: in.reply, Header: nats.Header{headerEnd: {endDone}}}
	setSeq(m, headerSeq, in.seq+1)
	cause := context.Cause(in.ctx)
	switch {
	case err == nil:
	case cause == nil:
		remote := bus.Remote(err)
		m.Header[headerEnd] = []string{endError}
		m.Header[headerCode] = []string{escapeHeader(remote.Code)}
		m.Data = []byte(remote.Text)
	case errors.Is(cause, bus.ErrInterrupted), errors.Is(cause, bus.ErrClosed):
		m.Header[headerEnd] = []string{endInterrupted}
	default:
		return
	}
	in.calls.tell(m)
}
