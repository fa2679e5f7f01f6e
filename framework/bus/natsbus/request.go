package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// requester sends requests whose replies arrive on one subscription. Any number may be in flight, without a goroutine
// or a context of their own. What ends the connection ends them all at once, so that nobody waits for a reply that
// can't come.
type requester struct {
	nc     *nats.Conn
	prefix string // of reply subjects, with the last dot
	pool   sync.Pool

	mu     sync.Mutex
	calls  map[uint64]*call
	last   uint64
	closed error
}

// call is one request in flight.
type call struct {
	id      uint64
	subject string
	timer   *time.Timer
	reply   chan reply // buffered; holds at most one
}

type reply struct {
	msg *nats.Msg
	err error
}

// newRequester subscribes to its replies. The subscription ends with the connection.
func newRequester(nc *nats.Conn) (*requester, error) {
	r := &requester{nc: nc, prefix: nc.NewInbox() + ".", calls: map[uint64]*call{}}
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
	c, err := r.start(m)
	if err != nil {
		return nil, err
	}

	return r.wait(ctx, c, timeout)
}

// start sends a request. The caller must wait for it.
func (r *requester) start(m *nats.Msg) (*call, error) {
	c, ok := r.pool.Get().(*call)
	if !ok {
		c = &call{reply: make(chan reply, 1), timer: time.NewTimer(time.Hour)}
		c.timer.Stop()
	}
	c.subject = m.Subject
	r.mu.Lock()
	if r.closed != nil {
		r.mu.Unlock()

		return nil, r.closed
	}
	r.last++
	c.id = r.last
	r.calls[c.id] = c
	r.mu.Unlock()
	m.Reply = r.prefix + strconv.FormatUint(c.id, 36)
	if err := r.nc.PublishMsg(m); err != nil {
		r.release(c)

		return nil, mapError(err)
	}

	return c, nil
}

// wait returns the reply to a call and ends it.
func (r *requester) wait(ctx context.Context, c *call, timeout time.Duration) (*nats.Msg, error) {
	defer r.release(c)
	c.timer.Reset(timeout)
	select {
	case got := <-c.reply:
		return got.msg, got.err
	case <-c.timer.C:
		return nil, fmt.Errorf("no reply within %v: %w", timeout, bus.ErrUnknown)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// release forgets a call; a reply that comes later is dropped.
func (r *requester) release(c *call) {
	r.mu.Lock()
	delete(r.calls, c.id)
	r.mu.Unlock()
	c.timer.Stop()
	select {
	case <-c.reply:
	default:
	}
	r.pool.Put(c)
}

// receive hands a reply to its call. It sends under the lock, so a released call never gets one.
func (r *requester) receive(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, r.prefix), 36, 64)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.calls[id]; c != nil {
		c.end(reply{msg: m})
	}
}

// end gives a call its outcome, unless it has one.
func (c *call) end(with reply) {
	select {
	case c.reply <- with:
	default:
	}
}

// fail ends the calls on a subject, or all calls when subject is empty.
func (r *requester) fail(subject string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if subject == "" || c.subject == subject {
			c.end(reply{err: err})
		}
	}
}

// close fails all calls, those to come included.
func (r *requester) close(err error) {
	r.mu.Lock()
	r.closed = err
	r.mu.Unlock()
	r.fail("", err)
}
