package natsbus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// outgoing is a call that waits for replies.
type outgoing struct {
	calls   *calls
	id      uint64
	subject string // of the request
	reply   string // of the replies
	replies chan *nats.Msg
	broken  chan error // buffered; holds at most one
	gone    sync.Once

	next            uint64 // sequence of the next reply
	behind, waiting int    // replies and bytes taken since
}

// Call sends a request on core NATS; see [bus.RPC]. The replies come to this connection's inbox.
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
	subject, err := b.ns.Call(to.Component, to.Instance)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if err := request.Check(maxBody(b.nc)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m := encodeMessage(subject, request)
	if deadline, ok := ctx.Deadline(); ok {
		setTimeout(m, time.Until(deadline))
	}
	out, err := b.calls.start(m)
	if err != nil {
		return err
	}

	return out.wait(ctx, yield)
}

// start sends a request.
func (c *calls) start(m *nats.Msg) (*outgoing, error) {
	out := &outgoing{
		calls: c, subject: m.Subject, next: 1,
		replies: make(chan *nats.Msg, bus.RepliesWaiting+1), broken: make(chan error, 1),
	}
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()

		return nil, c.closed
	}
	c.last++
	out.id = c.last
	out.reply = c.subject(out.id)
	c.outgoing[out.id] = out
	c.mu.Unlock()
	m.Reply = out.reply
	if err := c.nc.PublishMsg(m); err != nil {
		c.forget(out)

		return nil, interrupted(err)
	}

	return out, nil
}

// interrupted gives an error of the connection the outcome that it is for a call.
func interrupted(err error) error {
	if mapped := mapError(err); errors.Is(mapped, bus.ErrClosed) {
		return mapped
	}

	return fmt.Errorf("%w: %w", bus.ErrInterrupted, err)
}

func (c *calls) forget(out *outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.outgoing, out.id)
}

// receive keeps a reply for the caller; it does not wait. A serving side that heeds what the caller took never has
// more under way than fit.
func (out *outgoing) receive(m *nats.Msg) {
	select {
	case out.replies <- m:
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
	defer out.leave()
	defer out.calls.forget(out)
	for {
		select {
		case m := <-out.replies:
			more, err := out.take(m, yield)
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

// take handles one reply and reports whether to go on.
func (out *outgoing) take(m *nats.Msg, yield func(*bus.Message) bool) (more bool, err error) {
	if noResponders(m) && out.next == 1 {
		out.over()

		return false, bus.ErrNoResponder
	}
	seq, ok := parseUint(value(m.Header, headerSeq), 10)
	if !ok {
		out.calls.drop()

		return true, nil
	}
	switch {
	case seq < out.next:
		return true, nil // a repetition
	case seq > out.next:
		return false, fmt.Errorf("reply %d is missing: %w", out.next, bus.ErrInterrupted)
	}
	out.next++
	if end := value(m.Header, headerEnd); end != "" {
		out.over()

		return false, endOf(end, m)
	}
	if !yield(decodeMessage(m)) {
		return false, nil
	}
	out.taken(seq, len(m.Data))

	return true, nil
}

// endOf returns what the last reply says.
func endOf(end string, m *nats.Msg) error {
	switch end {
	case endDone:
		return nil
	case endError:
		code, err := unescapeHeader(value(m.Header, headerCode))
		if err != nil {
			code = ""
		}

		return bus.Remote(&bus.RemoteError{Code: code, Text: string(m.Data)})
	case endUnserved:
		return bus.ErrNoResponder
	}

	return fmt.Errorf("the serving side says %.40q: %w", end, bus.ErrInterrupted)
}

// taken tells the serving side how far the caller is, at every half of what may wait.
func (out *outgoing) taken(seq uint64, size int) {
	out.behind++
	out.waiting += size
	if out.behind < bus.RepliesWaiting/2 && out.waiting < bus.BytesWaiting/2 {
		return
	}
	out.behind, out.waiting = 0, 0
	m := out.about(headerReceived, strconv.FormatUint(seq, 10))
	_ = out.calls.nc.PublishMsg(m) // fails on a broken connection only, which ends the call
}

// about returns a message that follows the request.
func (out *outgoing) about(key, value string) *nats.Msg {
	return &nats.Msg{Subject: out.subject, Header: nats.Header{headerCall: {out.reply}, key: {value}}}
}

// over notes that the serving side is done.
func (out *outgoing) over() { out.gone.Do(func() {}) }

// leave tells the serving side, once, that nobody waits any more, unless it is done.
func (out *outgoing) leave() {
	out.gone.Do(func() { out.calls.tell(out.about(headerLeft, "1")) })
}
