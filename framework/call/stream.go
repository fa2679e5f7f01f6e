package call

import (
	"context"
	"iter"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// Stream sends a request and yields the replies in order, then ends. An error is the last thing it yields. Other
// instances are tried as for Call, but only before the first reply. When the caller stops ranging, the serving side is
// told.
func (c *Client) Stream(ctx context.Context, r Request) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r := r // each range is a call of its own

		message, err := r.complete(c.cfg)
		if err != nil {
			yield(nil, err)

			return
		}

		begun := false

		err = c.stream(ctx, r, message, func(body []byte) bool {
			begun = true

			return yield(body, nil)
		})

		switch {
		case err == nil:
		case begun || r.Fallback == nil || ctx.Err() != nil:
			yield(nil, err)
		default:
			yield(r.Fallback(ctx, err))
		}
	}
}

// stream returns nil when the replies have ended or yield wants no more.
func (c *Client) stream(ctx context.Context, r Request, message *bus.Message, yield func([]byte) bool) error {
	permit, err := c.breakers.For(r.target()).Allow()
	if err != nil {
		return r.failed("", err)
	}
	defer permit.Done(breaker.Ignored)

	f := c.takeOff(r, message)
	err = f.stream(ctx, yield)
	permit.Done(outcome(err))

	if err != nil {
		return r.failed(f.asked, err)
	}

	return nil
}

func (f *flight) stream(ctx context.Context, yield func([]byte) bool) error {
	var last error

	for {
		to, permit, err := f.choose()
		if err != nil {
			return orLast(last, err)
		}

		begun, err := f.follow(ctx, to, permit, yield)
		if err == nil || begun || !f.again(ctx, to, err) {
			return err
		}

		last = err
	}
}

// follow yields the replies of one instance, and reports whether there was one.
func (f *flight) follow(
	ctx context.Context, to bus.Endpoint, permit *breaker.Permit, yield func([]byte) bool,
) (begun bool, err error) {
	f.asked = to.String()

	ctx, patience := wait(ctx, f.request.Timeout)
	defer patience.end()

	for m, err := range f.replies(ctx, to, permit) {
		if err != nil {
			return begun, err
		}

		begun = true

		patience.stop() // while the caller is busy, the instance isn't to blame

		if !yield(m.Body) {
			return begun, nil
		}

		patience.start()
	}

	return begun, nil
}

// patience ends a context when nothing came for too long.
type patience struct {
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// wait begins to wait; limit < 0 sets no bound.
func wait(ctx context.Context, limit time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{limit: limit, cancel: cancel}

	if limit >= 0 {
		p.timer = time.AfterFunc(limit, func() { cancel(ErrTimeout) })
	}

	return ctx, p
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p *patience) start() {
	if p.timer != nil {
		p.timer.Reset(p.limit)
	}
}

func (p *patience) end() {
	p.stop()
	p.cancel(nil)
}
