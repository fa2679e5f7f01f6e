package bustest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// pollEvery is how often a tail behind faults looks whether it missed the newest entry, which no gap can tell.
const pollEvery = 20 * time.Millisecond

// tail reads a stream from its beginning to its final frame, as a reader that knows the port's promises only does.
type tail struct {
	bus bus.Bus
	id  bus.StreamID
	got []*bus.Entry

	cursor bus.Cursor
	offset int // bytes of the chunk at the cursor that were seen

	mu    sync.Mutex
	queue []*bus.Entry
	wake  chan struct{}
}

func newTail(b bus.Bus, id bus.StreamID) *tail {
	return &tail{bus: b, id: id, wake: make(chan struct{}, 1)}
}

// follow begins to listen; from then on, run misses nothing.
func (r *tail) follow(ctx context.Context) (stop func(), err error) {
	return r.bus.Follow(ctx, r.id, func(e *bus.Entry) {
		r.mu.Lock()
		defer r.mu.Unlock()

		r.queue = append(r.queue, e)
		r.poke()
	})
}

func (r *tail) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run collects entries until the final one.
func (r *tail) run(ctx context.Context, poll bool) ([]*bus.Entry, error) {
	stop, err := r.follow(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()

	every := patience
	if poll {
		every = pollEvery
	}

	ticks := time.NewTicker(every)
	defer ticks.Stop()

	for err := r.repair(ctx); !r.ended(); err = r.drain(ctx) {
		if err != nil {
			return nil, err
		}

		select {
		case <-r.wake:
		case <-ticks.C:
			r.push(nil)
		case <-ctx.Done():
			return nil, fmt.Errorf("have %d entries up to %v: %w", len(r.got), r.cursor, ctx.Err())
		}
	}

	return r.got, nil
}

func (r *tail) push(e *bus.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.queue = append(r.queue, e)
}

func (r *tail) ended() bool {
	return len(r.got) > 0 && r.got[len(r.got)-1].State.Final()
}

// drain takes what was delivered and reads from the log where that has gaps.
func (r *tail) drain(ctx context.Context) error {
	r.mu.Lock()
	queue := r.queue
	r.queue = nil
	r.mu.Unlock()

	for _, e := range queue {
		if e != nil && (r.seen(e) || r.accept(e)) {
			continue
		}

		if err := r.repair(ctx); err != nil {
			return err
		}
	}

	return nil
}

// repair reads everything behind the cursor from the log.
func (r *tail) repair(ctx context.Context) error {
	last, err := lastOf(ctx, r.bus, r.id)
	if err != nil || last == nil || r.seen(last) {
		return err
	}

	for e, err := range r.bus.Read(ctx, last, r.cursor) {
		if errors.Is(err, bus.ErrUnknown) && pause(ctx) {
			return r.repair(ctx)
		}

		if err != nil {
			return err
		}

		if !r.seen(e) && !r.accept(e) {
			return fmt.Errorf("log has %+v behind %v+%d", e.Frame, r.cursor, r.offset)
		}
	}

	return nil
}

func (r *tail) seen(e *bus.Entry) bool {
	if len(r.got) == 0 {
		return false
	}

	last, p := r.got[len(r.got)-1].Position, e.Position

	return p.Major < last.Major || p.Major == last.Major && p.Minor <= last.Minor
}

// accept takes an entry if it is the next one.
func (r *tail) accept(e *bus.Entry) bool {
	next := e.Attempt == r.cursor.Attempt && e.First == r.cursor.Index && e.Offset == r.offset
	if e.Begin {
		next = e.After == r.cursor
	}

	if !next {
		return false
	}

	r.got = append(r.got, e)
	r.cursor, r.offset = e.End(), 0

	if e.More {
		r.offset = e.Offset + len(e.Body)
	}

	return true
}
