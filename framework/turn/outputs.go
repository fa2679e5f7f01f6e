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
const User = stream.User

// outputs are the output streams of one attempt: first the turn's own, then its branches.
type outputs struct {
	run    *run
	record Record
	trace  map[string]string
	afresh bool
	again  bool // there may have been attempts before
	posts  errgroup.Group
	input  *stream.Reader // nil before the handler is called

	mu      sync.Mutex
	writers []*stream.Writer
	infos   []stream.Info // of the writers
}

// open opens the stream for the given targets and posts its turn to each of them while the handler runs already.
func (o *outputs) open(ctx context.Context, to []string) (*stream.Writer, error) {
	if err := checkTargets(to); err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}

	target := strings.Join(to, ",")
	info := stream.Info{
		Stream:    subjects.Derive(o.record.Root, o.record.Component, o.record.ID, target),
		Component: o.record.Component,
		Target:    target,
		Turn:      o.record.ID,
		Root:      o.record.Root,
		Type:      o.run.cfg.Type,
	}

	w, err := o.run.store.OpenWriter(ctx, stream.WriterConfig{
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
	o.writers, o.infos = append(o.writers, w), append(o.infos, info)
	o.mu.Unlock()

	for _, component := range components(to) {
		o.posts.Go(func() error {
			ctx, done := o.run.posting()
			defer done()

			return Post(ctx, o.run.box, Record{
				ID: info.Stream, Session: o.record.Session, Component: component, Root: o.record.Root,
				From: o.record.Component, Mark: o.record.Mark,
			}, w.Trace())
		})
	}

	return w, nil
}

// MaxTargets bounds how many components get a turn with an output.
const MaxTargets = 64

// checkTargets refuses what no turn could be posted to: the output could never end.
func checkTargets(to []string) error {
	if len(to) > MaxTargets {
		return fmt.Errorf("%d targets, of at most %d: %w", len(to), MaxTargets, bus.ErrInvalid)
	}

	for _, component := range components(to) {
		if err := subjects.CheckID("target component", component); err != nil {
			return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
		}
	}

	return nil
}

// posting returns a context for posting the turns of outputs: the handler may return first, but without the claim it is
// for another instance to do.
func (r *run) posting() (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(r.held)
	unhook := context.AfterFunc(r.gone, func() { cancel(errDraining) })

	return ctx, func() { unhook(); cancel(nil) }
}

// policy is that of the next stream to open. Under policy Fail the turn's own stream keeps what readers have seen until
// the turn was set aside.
func (o *outputs) policy() stream.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()

	if p := o.run.cfg.Policy; p != stream.Fail || len(o.writers) > 0 {
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

// end ends all streams as the fate says, those of earlier attempts first and the turn's own last, because its end is what
// marks the turn as done. It returns an error when that is not stored.
func (o *outputs) end(ctx context.Context, f fate, cause error) error {
	if err := o.posts.Wait(); err != nil {
		o.withdraw(ctx)

		return err
	}

	if !f.final() {
		o.withdraw(ctx)

		return nil
	}

	if err := o.endOrphans(ctx, f, cause); err != nil {
		o.withdraw(ctx)

		return err
	}

	for i, w := range slices.Backward(o.writers) {
		ends := w.Ends()

		w, err := o.keeping(ctx, w, o.infos[i], f)
		if err == nil {
			o.writers[i] = w
			err = endOne(ctx, w, f, cause)
		}

		if f == fail && i == 0 && !ends && (errors.Is(err, stream.ErrEnded) || errors.Is(err, stream.ErrFenced)) {
			err = o.overtaken(ctx, err)
		}

		if err != nil && !errors.Is(err, stream.ErrEnded) { // the handler may have ended a stream itself
			o.withdraw(ctx)

			return fmt.Errorf("end output: %w", err)
		}
	}

	return nil
}

// errOvertaken: the turn was to fail, but another instance has ended it otherwise meanwhile.
var errOvertaken = fmt.Errorf("another instance has ended the turn: %w", stream.ErrFenced)

// overtaken looks why the turn's own stream could not be ended as failed, and returns [errOvertaken] where it has ended
// otherwise; else err.
func (o *outputs) overtaken(ctx context.Context, err error) error {
	kept, look := o.run.store.Kept(ctx, o.writers[0].ID(), 0)
	if look == nil && kept.State.Final() && kept.State != bus.Failed {
		return errOvertaken
	}

	return err
}

// keeping returns the writer to end a stream with. A turn that is cancelled before an attempt has sent anything ends with
// the text that the attempts before have stored.
func (o *outputs) keeping(ctx context.Context, w *stream.Writer, info stream.Info, f fate) (*stream.Writer, error) {
	if f != cancelled || w.Attempt() == 1 || w.Next() > 0 || w.Ends() || o.afresh {
		return w, nil
	}

	w.Abandon() // nothing of it is on its way

	w, err := o.run.store.OpenWriter(ctx, stream.WriterConfig{
		Session: o.record.Session, Info: info, Policy: stream.Resume, Trace: o.trace,
	})
	if err != nil {
		return nil, fmt.Errorf("keep what was sent: %w", err)
	}

	return w, nil
}

// withdraw leaves the streams without an end, so that the next attempt goes on behind what this one has stored. It
// waits for what is still on its way to the bus, for as long as a lease: that is what it costs the next attempt if
// something arrives later.
func (o *outputs) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, o.run.cfg.Lease)
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
