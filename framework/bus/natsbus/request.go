package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// sweepEvery is how often requests are looked at that may have waited for too long.
const sweepEvery = 20 * time.Millisecond

// requester sends requests whose replies arrive on one subscription. Any number may be in flight, without a goroutine, a
// context or a timer of their own. What ends the connection ends them all at once, so that nobody waits for a reply that
// can't come.
type requester struct {
	nc     *nats.Conn
	prefix string // of reply subjects, with the last dot
	pool   sync.Pool

	mu       sync.Mutex
	calls    map[uint64]*call
	last     uint64
	closed   error
	sweeper  *time.Timer
	sweeping bool // the sweeper is set
}

// call is one request in flight.
type call struct {
	id      uint64
	subject string
	sweeps  int                    // how many more it waits for
	done    func(*nats.Msg, error) // nil: whoever waits for reply gets it
	reply   chan reply             // buffered; holds at most one
}

type reply struct {
	msg *nats.Msg
	err error
}

// newRequester subscribes to its replies. The subscription ends with the connection.
func newRequester(nc *nats.Conn) (*requester, error) {
	r := &requester{nc: nc, prefix: nc.NewInbox() + ".", calls: map[uint64]*call{}}
	r.sweeper = time.AfterFunc(time.Hour, r.sweep)
	r.sweeper.Stop()
	sub, err := nc.Subscribe(r.prefix+"*", r.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}
	// Each reply was asked for, so the requests in flight bound them.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe to replies: %w", err)
	}

	return r, nil
}

// do sends a request and returns its reply. Errors: [bus.ErrUnknown] after the timeout or when the connection breaks,
// those of nats.go when nothing was sent, or the context's.
func (r *requester) do(ctx context.Context, m *nats.Msg, timeout time.Duration) (*nats.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := r.start(m, timeout)
	if err != nil {
		return nil, err
	}

	return r.wait(ctx, c)
}

// start sends a request. The caller must wait for it.
func (r *requester) start(m *nats.Msg, timeout time.Duration) (*call, error) {
	c, ok := r.pool.Get().(*call)
	if !ok {
		c = &call{reply: make(chan reply, 1)}
	}
	if err := r.send(c, m, timeout); err != nil {
		r.pool.Put(c)

		return nil, err
	}

	return c, nil
}

// wait returns the reply to a call and ends it.
func (r *requester) wait(ctx context.Context, c *call) (*nats.Msg, error) {
	defer r.release(c)
	select {
	case got := <-c.reply:
		return got.msg, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// release forgets a call that was waited for; a reply that comes later is dropped.
func (r *requester) release(c *call) {
	r.forget(c.id)
	select {
	case <-c.reply:
	default:
	}
	r.pool.Put(c)
}

// begin sends a request. done gets what do would have returned, once, and must not block. After an error it is not called.
func (r *requester) begin(m *nats.Msg, timeout time.Duration, done func(*nats.Msg, error)) error {
	return r.send(&call{done: done}, m, timeout)
}

// send sends the request of a call.
func (r *requester) send(c *call, m *nats.Msg, timeout time.Duration) error {
	c.subject, c.sweeps = m.Subject, int(timeout/sweepEvery)+1
	r.mu.Lock()
	if r.closed != nil {
		r.mu.Unlock()

		return r.closed
	}
	r.last++
	c.id = r.last
	r.calls[c.id] = c
	if !r.sweeping {
		r.sweeping = true
		r.sweeper.Reset(sweepEvery)
	}
	r.mu.Unlock()
	m.Reply = r.prefix + strconv.FormatUint(c.id, 36)
	if err := r.nc.PublishMsg(m); err != nil && r.forget(c.id) {
		return mapError(err)
	}

	return nil
}

// forget takes a call out of those in flight, and reports whether it was one.
func (r *requester) forget(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, there := r.calls[id]
	delete(r.calls, id)

	return there
}

// receive hands a reply to its call.
func (r *requester) receive(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(r.prefix):], 36, 64)
	if err != nil {
		return
	}
	r.mu.Lock()
	c := r.calls[id]
	if c != nil && c.done == nil {
		c.reply <- reply{msg: m} // under the lock, so that a released call never gets one
	}
	delete(r.calls, id)
	r.mu.Unlock()
	if c != nil && c.done != nil {
		c.done(m, nil)
	}
}

// sweep ends the calls that have waited for too long.
func (r *requester) sweep() {
	r.end(func(c *call) bool { c.sweeps--; return c.sweeps < 0 }, fmt.Errorf("no reply in time: %w", bus.ErrUnknown))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sweeping = len(r.calls) > 0 && r.closed == nil; r.sweeping {
		r.sweeper.Reset(sweepEvery)
	}
}

// fail ends the calls on a subject, or all calls when subject is empty.
func (r *requester) fail(subject string, err error) {
	r.end(func(c *call) bool { return subject == "" || c.subject == subject }, err)
}

// end gives the chosen calls an error instead of a reply.
func (r *requester) end(chosen func(*call) bool, err error) {
	var begun []*call
	r.mu.Lock()
	for id, c := range r.calls {
		switch {
		case !chosen(c):
			continue
		case c.done != nil:
			begun = append(begun, c)
		default:
			c.reply <- reply{err: err} // under the lock, as in receive
		}
		delete(r.calls, id)
	}
	r.mu.Unlock()
	for _, c := range begun {
		c.done(nil, err)
	}
}

// close fails all calls, those to come included.
func (r *requester) close(err error) {
	r.mu.Lock()
	r.closed = err
	r.mu.Unlock()
	r.sweeper.Stop()
	r.fail("", err)
}
