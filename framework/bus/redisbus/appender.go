package redisbus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// appendLanes is how many batches of appends are on their way at once, each on a connection of its own: while the
	// server works on one, the next is sent.
	appendLanes = 2
	// batchMost and batchBytes bound a batch, so that none waits long for the others; one append is always taken.
	batchMost  = 64
	batchBytes = 256 << 10
)

// appender sends the appends of all streams in batches, one script for each. Nobody waits for a batch to fill: it is what
// came while the one before was on its way.
type appender struct {
	bus  *Bus
	wake chan struct{} // holds a token for each lane that may find something new

	mu      sync.Mutex
	waiting []*appending
	closed  bool
}

// appending is one append on its way.
type appending struct {
	keys  []string
	args  []any
	size  int
	since time.Time
	done  func(reply any, err error) // must not block
}

func newAppender(b *Bus) *appender {
	return &appender{bus: b, wake: make(chan struct{}, appendLanes)}
}

// add takes an append. After an error its done is not called.
func (a *appender) add(w *appending) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return bus.ErrClosed
	}
	w.since = time.Now()
	a.waiting = append(a.waiting, w)
	select {
	case a.wake <- struct{}{}:
	default: // every lane will look
	}

	return nil
}

// take returns the next batch, if there is one.
func (a *appender) take() []*appending {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, size := 0, 0
	for n < len(a.waiting) && n < batchMost && (n == 0 || size+a.waiting[n].size <= batchBytes) {
		size += a.waiting[n].size
		n++
	}
	batch := a.waiting[:n:n]
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}

	return batch
}

// run works as one lane until the bus closes.
func (a *appender) run(ctx context.Context) {
	lane := &lane{bus: a.bus}
	defer lane.hangUp()
	for {
		select {
		case <-a.wake:
		case <-a.bus.closing:
			a.close()

			return
		}
		for batch := a.take(); len(batch) > 0; batch = a.take() {
			lane.send(ctx, batch)
		}
	}
}

// giveUp ends the wait of those that have waited for as long as one try may take, on a server that let a try end without
// an answer: each batch before them may take that long again.
func (a *appender) giveUp(reason error) {
	a.mu.Lock()
	n := 0
	for n < len(a.waiting) && time.Since(a.waiting[n].since) >= a.bus.cfg.AppendTimeout {
		n++
	}
	late := a.waiting[:n:n]
	a.waiting = a.waiting[n:]
	a.mu.Unlock()
	for _, w := range late {
		w.done(nil, fmt.Errorf("%w: it was not sent: %w", bus.ErrUnknown, reason))
	}
}

// close refuses what waits and what comes. It is idempotent.
func (a *appender) close() {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting, a.closed = nil, true
	a.mu.Unlock()
	for _, w := range waiting {
		w.done(nil, bus.ErrClosed)
	}
}

// lane is a connection for batches.
type lane struct {
	bus    *Bus
	conn   *redis.Conn // nil while there is none, and where the client chooses a server for each command
	breaks uint64      // how often the subscribed connection had broken when this one was made
}

// send runs the scripts of a batch and tells each its outcome.
func (l *lane) send(ctx context.Context, batch []*appending) {
	try, cancel := context.WithTimeout(ctx, l.bus.cfg.AppendTimeout)
	defer cancel()
	p := l.pipeline()
	replies := make([]*redis.Cmd, len(batch))
	for i, w := range batch {
		replies[i] = p.EvalSha(try, l.bus.appendScript.lua.Hash(), w.keys, w.args...)
	}
	if _, err := p.Exec(try); err != nil && !unknownScript(err) {
		l.hangUp() // it may be broken, or lead to a server that writes no longer
		l.bus.appender.giveUp(err)
	}
	for i, w := range batch {
		reply, err := replies[i].Result()
		if unknownScript(err) { // nothing was done: the server has started anew
			reply, err = l.bus.appendScript.lua.Eval(try, l.bus.client, w.keys, w.args...).Result()
		}
		w.done(reply, l.bus.storeError(ctx, err))
	}
}

// pipeline begins a batch, on the lane's own connection where there is one server. Where the subscribed connection broke
// meanwhile this one may have, too: the client hands out one that works.
func (l *lane) pipeline() redis.Pipeliner { //nolint:ireturn // the client library has no other
	if breaks := l.bus.hub.breaks.Load(); breaks != l.breaks {
		l.hangUp()
		l.breaks = breaks
	}
	if client, single := l.bus.client.(*redis.Client); single && l.conn == nil {
		l.conn = client.Conn()
	}
	if l.conn != nil {
		return l.conn.Pipeline()
	}

	return l.bus.client.Pipeline()
}

// hangUp gives the connection back. The next batch gets another one.
func (l *lane) hangUp() {
	if l.conn != nil {
		_ = l.conn.Close() // it is given back, or gone
		l.conn = nil
	}
}

func unknownScript(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT")
}
