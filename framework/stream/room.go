package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// room waits, with the lock held on entry and return, until a chunk of this size may be sent, or the writer has its
// end. The impatient get [ErrBackpressure] instead of waiting.
func (w *Writer) room(ctx context.Context, size int, patient bool) error {
	if w.lead != nil {
		w.lead.begin(w.window.next())
	}
	for {
		if w.err != nil {
			return w.err
		}
		if w.end != nil || w.fits(size) {
			return nil
		}
		again, asked := w.ask(ctx, size)
		if asked {
			continue // the lock was free meanwhile
		}
		if !patient {
			return ErrBackpressure
		}
		if err := w.sleep(ctx, again); err != nil {
			return err
		}
	}
}

// fits reports whether a chunk of this size may be sent. What this writer holds is stored in the end, which wakes it,
// and a writer that holds nothing may send: so no writer waits for another one.
func (w *Writer) fits(size int) bool {
	cfg := &w.store.cfg
	if !w.window.fits(size, cfg) || w.lead != nil && !w.lead.fits(size) {
		return false
	}

	return len(w.window.sizes) == 0 || w.store.held.Load()+int64(size) <= int64(cfg.TotalBytes)
}

// ask makes the assigned readers say how far they are, if the writer waits for them and it is time to ask, and reports
// whether it did; or else returns how long to wait until then. It lets go of the lock to ask.
func (w *Writer) ask(ctx context.Context, size int) (again time.Duration, asked bool) {
	if w.lead == nil || w.lead.fits(size) {
		return 0, false
	}
	pace, again := w.lead.due(size)
	if again > 0 {
		return again, false
	}
	w.mu.Unlock()
	defer w.mu.Lock()
	_ = w.store.signals.Signal(ctx, w.id, hint{word: hintAsk, pace: pace}.encode()) // repeated if it got lost

	return 0, true
}

// errNoSignals is why assigned readers are refused on a log that can't carry what they have to say.
var errNoSignals = fmt.Errorf("assigned readers need a bus with signals: %w", errors.ErrUnsupported)

// listen begins to hear the assigned readers, if there are any.
func (w *Writer) listen(ctx context.Context) error {
	for _, name := range w.cfg.Readers {
		if err := checkReader(w.store, name); err != nil {
			return err
		}
	}
	if w.lead == nil {
		return nil
	}
	stop, err := w.store.signals.Listen(ctx, w.id, w.hear)
	if err != nil {
		return fmt.Errorf("hear readers: %w", err)
	}
	w.lead.stop = stop

	return nil
}

// checkReader refuses names that can't travel, and logs that can't carry them.
func checkReader(s *Store, name string) error {
	if err := subjects.CheckID("reader", name); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}
	if s.signals == nil {
		return errNoSignals
	}

	return nil
}

// hear takes what somebody says about the stream.
func (w *Writer) hear(data []byte) {
	h, ok := decodeHint(data)
	if !ok || h.word == hintAsk {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lead.hear(h, w.attempt) {
		w.signalLocked()
	}
}

// unlisten ends the hearing of a writer that has ended or is broken. The lock is not held: hear may wait for it.
func (w *Writer) unlisten() {
	if w.lead == nil {
		return
	}
	w.mu.Lock()
	var stop func()
	if w.ended || w.err != nil {
		stop, w.lead.stop = w.lead.stop, nil
	}
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}
