package turn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// User is the target of a stream that is meant for the user: an edge such as the output service follows it on the
// session's timeline, and no turn is posted for it.
const User = "output"

// outputs are the output streams of one attempt: first the turn's own, then its branches.
type outputs struct {
	worker *Worker
	record Record
	trace  map[string]string
	afresh bool
	posts  errgroup.Group
	input  *stream.Reader // nil before the handler is called

	mu      sync.Mutex
	writers []*stream.Writer
}

// open opens the stream for the given targets and posts its turn to each of them while the handler runs already.
func (o *outputs) open(ctx context.Context, to []string) (*stream.Writer, error) {
	target := strings.Join(to, ",")
	info := stream.Info{
		Stream:    subjects.Derive(o.record.Root, o.record.Component, o.record.ID, target),
		Component: o.record.Component,
		Target:    target,
		Turn:      o.record.ID,
		Root:      o.record.Root,
		Type:      o.worker.cfg.Type,
	}

	w, err := o.worker.store.OpenWriter(ctx, stream.WriterConfig{
		Session: o.record.Session, Info: info, Policy: o.policy(), Trace: o.trace,
		Readers: components(to),
	})
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}

	if o.afresh {
		if err := w.Rewind(0); err != nil {
			return nil, fmt.Errorf("open output afresh: %w", err)
		}
	}

	o.mu.Lock()
	o.writers = append(o.writers, w)
	o.mu.Unlock()

	posting := context.WithoutCancel(ctx) // the handler may return first

	for _, component := range components(to) {
		o.posts.Go(func() error {
			return Post(posting, o.worker.box, Record{
				ID: info.Stream, Session: o.record.Session, Component: component, Root: o.record.Root,
				From: o.record.Component, Mark: o.record.Mark,
			}, w.Trace())
		})
	}

	return w, nil
}

// policy is that of the next stream to open. Under policy Fail the turn's own stream keeps what readers have seen until
// the turn was set aside.
func (o *outputs) policy() stream.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()

	if p := o.worker.cfg.Policy; p != stream.Fail || len(o.writers) > 0 {
		return p
	}

	return stream.Resume
}

// components returns the targets that get a turn.
func components(to []string) []string {
	return slices.DeleteFunc(slices.Clone(to), func(target string) bool { return target == "" || target == User })
}

// sent counts the chunks that were sent to all outputs.
func (o *outputs) sent() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()

	var n uint64
	for _, w := range o.writers {
		n += w.Next()
	}

	return n
}

// end ends all streams as the fate says, the turn's own last, because its end is what marks the turn as done. It
// returns an error when that is not stored.
func (o *outputs) end(ctx context.Context, f fate, cause error) error {
	if err := o.posts.Wait(); err != nil {
		o.withdraw(ctx)

		return err
	}

	if !f.final() {
		o.withdraw(ctx)

		return nil
	}

	for _, w := range slices.Backward(o.writers) {
		err := endOne(ctx, w, f, cause)
		if err != nil && !errors.Is(err, stream.ErrEnded) { // the handler may have ended a stream itself
			o.withdraw(ctx)

			return fmt.Errorf("end output: %w", err)
		}
	}

	return nil
}

// withdraw leaves the streams without an end, so that the next attempt goes on behind what this one has stored. It
// waits for what is still on its way to the bus, for as long as a lease: that is what it costs the next attempt if
// something arrives later.
func (o *outputs) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, o.worker.cfg.Lease)
	defer cancel()

	for _, w := range o.writers {
		_ = w.Withdraw(ctx) // the next attempt is fenced off if it comes to that, and repeated
	}
}

func endOne(ctx context.Context, w *stream.Writer, f fate, cause error) error {
	var upstream *stream.EndError

	switch f {
	case complete:
		return w.Close(ctx)
	case cancelled:
		return w.Cancel(ctx, reason(cause))
	case fail:
		return w.Fail(ctx, reason(cause))
	default: // follow
		if errors.As(cause, &upstream) && upstream.End.State == bus.Cancelled {
			return w.Cancel(ctx, upstream.End.Reason)
		}

		return w.Fail(ctx, reason(cause))
	}
}

// reason is what readers of a stream that failed or was cancelled are told.
func reason(err error) string {
	if terminal, ok := errors.AsType[*terminateError](err); ok {
		return terminal.Error()
	}

	if cancel, ok := errors.AsType[*CancelledError](err); ok {
		return cancel.Reason
	}

	return err.Error()
}
