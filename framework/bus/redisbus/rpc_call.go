package redisbus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

var errBroke = fmt.Errorf("the connection broke: %w", bus.ErrInterrupted)

// outgoing is a call that waits for replies.
type outgoing struct {
	calls   *calls
	id      string
	channel string // of the endpoint
	replies chan *note
	broken  chan error // buffered; holds at most one
	gone    sync.Once

	next            uint64 // sequence of the next reply
	behind, waiting int    // replies and bytes taken since the serving side was told
}

// Call publishes a request; see [bus.RPC]. The server tells how many heard it, so that nobody is known at once.
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
	channel, err := b.ns.RedisCall(to.Component, to.Instance)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if err := request.Check(maxBody); err != nil {
		return err
	}
	if err := b.ready(ctx); err != nil {
		return err
	}
	n := &note{kind: noteRequest, header: request.Header, body: string(request.Body)}
	if deadline, ok := ctx.Deadline(); ok {
		n.timeout = max(time.Until(deadline), 1)
	}
	out, err := b.calls.begin(channel, n)
	if err != nil {
		return err
	}
	defer b.calls.forget(out)
	if err := out.send(ctx, n); err != nil {
		return err
	}

	return out.wait(ctx, yield)
}

// begin makes a call that is not sent yet.
func (c *calls) begin(channel string, n *note) (*outgoing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, bus.ErrClosed
	}
	c.last++
	out := &outgoing{
		calls: c, id: strconv.FormatUint(c.last, 36), channel: channel, next: 1,
		replies: make(chan *note, bus.RepliesWaiting+1), broken: make(chan error, 1),
	}
	c.outgoing[out.id] = out
	n.process, n.call = c.process, out.id

	return out, nil
}

func (c *calls) forget(out *outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.outgoing, out.id)
}

// send publishes the request, unless replies could not come.
func (out *outgoing) send(ctx context.Context, n *note) error {
	b := out.calls.bus
	if !b.hub.connected() {
		return errBroke
	}
	if b.clustered() {
		if heard, err := b.listeners(ctx, out.channel); err == nil && heard == 0 {
			return bus.ErrNoResponder
		}
	}
	heard, err := out.calls.publish(ctx, out.channel, n)
	var reply redis.Error
	switch {
	case b.isClosing():
		return bus.ErrClosed
	case err != nil && ctx.Err() != nil:
		out.leave(ctx)

		return ctx.Err()
	case errors.As(err, &reply):
		return fmt.Errorf("%w: %w", bus.ErrInterrupted, err)
	case err != nil:
		out.leave(ctx)

		return fmt.Errorf("%w: %w", bus.ErrInterrupted, err)
	case heard == 0:
		return bus.ErrNoResponder
	}

	return nil
}

// receive keeps a note for the caller; it does not wait. A serving side that heeds what the caller took never has more
// under way than fit.
func (out *outgoing) receive(n *note) {
	select {
	case out.replies <- n:
	default:
		out.end(fmt.Errorf("more replies than were asked for: %w", bus.ErrInterrupted))
	}
}

// end gives a call its outcome, unless it has one.
func (out *outgoing) end(err error) {
	select {
	case out.broken <- err:
	default:
	}
}

// wait yields replies until the last one. Then, and only then, the serving side needs not be told.
func (out *outgoing) wait(ctx context.Context, yield func(*bus.Message) bool) error {
	defer out.leave(ctx)
	for {
		select {
		case n := <-out.replies:
			more, err := out.take(ctx, n, yield)
			if err != nil || !more {
				return err
			}
		case err := <-out.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take handles one note and reports whether to go on.
func (out *outgoing) take(ctx context.Context, n *note, yield func(*bus.Message) bool) (more bool, err error) {
	switch {
	case n.kind == noteBroken:
		out.over()

		return false, fmt.Errorf("the serving side broke off: %w", bus.ErrInterrupted)
	case n.seq < out.next:
		return true, nil // a repetition
	case n.seq > out.next:
		return false, fmt.Errorf("reply %d is missing: %w", out.next, bus.ErrInterrupted)
	}
	out.next++
	if n.kind != noteReply {
		out.over()

		return false, endOf(n)
	}
	if !yield(n.message()) {
		return false, nil
	}

	return true, out.taken(ctx, n)
}

// endOf returns what the last note says.
func endOf(n *note) error {
	switch n.kind {
	case noteDone:
		return nil
	case noteFailed:
		return bus.Remote(&bus.RemoteError{Code: n.code, Text: n.body})
	case noteNobody:
		return bus.ErrNoResponder
	}

	return fmt.Errorf("the serving side says %.40q: %w", n.kind, bus.ErrInterrupted)
}

// taken tells the serving side how far the caller is, at every half of what may wait.
func (out *outgoing) taken(ctx context.Context, n *note) error {
	out.behind++
	out.waiting += len(n.body)
	if out.behind < bus.RepliesWaiting/2 && out.waiting < bus.BytesWaiting/2 {
		return nil
	}
	out.behind, out.waiting = 0, 0
	heard, err := out.calls.insist(ctx, out.channel, out.about(noteTook, n.seq))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", bus.ErrInterrupted, err)
	case heard == 0:
		return fmt.Errorf("the serving side is gone: %w", bus.ErrInterrupted)
	}

	return nil
}

// about returns a note that follows the request.
func (out *outgoing) about(kind string, seq uint64) *note {
	return &note{kind: kind, process: out.calls.process, call: out.id, seq: seq}
}

// over notes that the serving side is done.
func (out *outgoing) over() { out.gone.Do(func() {}) }

// leave tells the serving side, once, that nobody waits any more, unless it is done.
func (out *outgoing) leave(ctx context.Context) {
	out.gone.Do(func() { out.calls.tell(ctx, out.channel, out.about(noteLeft, 0)) })
}
