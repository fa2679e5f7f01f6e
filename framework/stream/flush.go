package stream

import (
	"context"
	"maps"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// flushLocked begins to store what waits, unless that is under way. It lets go of the lock meanwhile.
//
// Where the bus can begin an append without waiting for its outcome, and nothing has to be done first, the frame leaves
// before flushLocked returns, and what comes next is done by whoever brings the outcome. A goroutine is needed only for
// what waits: for the timeline before a stream's first frame, and for the bus after a try that failed.
func (w *Writer) flushLocked(ctx context.Context) error {
	if w.flushing {
		return nil
	}
	w.flushing = true
	if w.store.starter != nil && w.begun {
		w.mu.Unlock()
		w.store.slots.take(func() { w.start(ctx) })
		w.mu.Lock()

		return w.err
	}

	return w.aside(ctx, w.flush)
}

// start begins the append of the next frame, if there is one. It holds a slot.
func (w *Writer) start(ctx context.Context) {
	piece, frame := w.build()
	if frame == nil {
		w.store.release()
		w.unlisten()

		return
	}
	err := w.store.hold()
	if err == nil {
		err = w.store.starter.Start(frame, w.tail, func(e *bus.Entry, err error) {
			defer w.store.running.Done()
			w.started(ctx, piece, frame, e, err)
		})
		if err == nil {
			return
		}
		w.store.running.Done()
	}
	w.notStarted(ctx, piece, frame, err)
}

// started takes the outcome of an append that was begun, and begins the next one if there is more to store.
func (w *Writer) started(ctx context.Context, piece slice, frame *bus.Frame, e *bus.Entry, err error) {
	if err != nil {
		w.notStarted(ctx, piece, frame, err)

		return
	}
	w.tail = e
	more := w.stored(piece, frame)
	w.store.release()
	if more {
		w.store.slots.take(func() { w.start(ctx) })
	} else {
		w.unlisten()
	}
}

// notStarted lets a goroutine go on after a try that failed, with its slot.
func (w *Writer) notStarted(ctx context.Context, piece slice, frame *bus.Frame, failed error) {
	w.mu.Lock()
	err := w.err
	if err == nil {
		err = w.aside(ctx, func(ctx context.Context) { w.goOn(ctx, piece, frame, failed) })
	}
	if err != nil {
		w.flushing = false
		w.signalLocked()
	}
	w.mu.Unlock()
	if err != nil {
		w.store.release()
		w.unlisten()
	}
}

// aside lets a goroutine go on with the storing, with the lock held. It breaks the writer when the store is closed.
func (w *Writer) aside(ctx context.Context, f func(ctx context.Context)) error {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx)) // what was accepted is stored even if the caller goes
	if err := w.store.spawn(func() { defer cancel(); f(detached) }); err != nil {
		cancel()
		w.flushing = false
		w.breakLocked(err)

		return err
	}
	w.cancel = cancel

	return nil
}

// goOn stores a frame whose first try failed, and then what waits. It holds a slot.
func (w *Writer) goOn(ctx context.Context, piece slice, frame *bus.Frame, failed error) {
	err := w.again(ctx, frame, failed)
	w.store.release()
	switch {
	case err != nil:
		w.stopFlushing(err)
	case w.stored(piece, frame):
		w.flush(ctx)

		return
	}
	w.unlisten()
}

// flush stores frame after frame until nothing waits. The slot is taken before the frame is built: chunks that come
// while this writer waits for its turn go into the same frame.
func (w *Writer) flush(ctx context.Context) {
	defer w.unlisten()
	for {
		if err := w.store.acquire(ctx); err != nil {
			w.stopFlushing(err)

			return
		}
		piece, frame := w.build()
		if frame == nil {
			w.store.release()

			return
		}
		err := w.append(ctx, frame)
		w.store.release()
		if err != nil {
			w.stopFlushing(err)

			return
		}
		if !w.stored(piece, frame) {
			return
		}
	}
}

// stopFlushing breaks the writer.
func (w *Writer) stopFlushing(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = false
	w.breakLocked(err)
}

// stored takes a stored frame out of the window and reports whether there is more to store. If not, nobody does any
// longer.
func (w *Writer) stored(piece slice, frame *bus.Frame) (more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.window.bytes)
	w.window.advance(piece)
	w.store.held.Add(int64(len(w.window.bytes) - before))
	if !w.shown && len(frame.Lengths) > 0 {
		w.shown = true
		w.span.FirstChunk()
	}
	if frame.State.Final() {
		w.ended = true
		w.span.EndStream(string(frame.State), w.window.first, nil)
	}
	w.signalLocked()
	w.flushing = w.waits()

	return w.flushing
}

// waits reports whether there is something to store, with the lock held.
func (w *Writer) waits() bool {
	return w.err == nil && !w.ended && (len(w.window.sizes) > 0 || w.end != nil)
}

// build returns the next frame, or nil when there is nothing to store: then nobody stores any longer.
func (w *Writer) build() (slice, *bus.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flushing = w.waits(); !w.flushing {
		w.signalLocked()

		return slice{}, nil
	}
	piece := slice{first: w.window.first}
	if len(w.window.sizes) > 0 {
		most := w.store.bodyLimit()
		piece = w.window.peek(min(w.store.cfg.FrameBytes, most), most)
	}
	frame := &bus.Frame{
		ID: w.id, Attempt: w.attempt, Writer: w.writer, Type: w.cfg.Info.Type,
		First: piece.first, Lengths: piece.sizes, Offset: piece.offset, More: piece.more, Body: piece.body,
	}
	w.markBegin(frame)
	if w.end != nil && !piece.more && piece.first+uint64(len(piece.sizes)) == w.window.next() {
		frame.State, frame.Reason = w.end.State, w.end.Reason
		frame.Meta = maps.Clone(w.end.Meta)
	}

	return piece, frame
}
