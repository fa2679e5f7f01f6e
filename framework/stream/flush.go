package stream

import (
	"context"
	"maps"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// flushLocked starts the goroutine that stores what waits, unless it runs.
func (w *Writer) flushLocked(ctx context.Context) error {
	if w.flushing {
		return nil
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx)) // what was accepted is stored even if the caller goes
	if err := w.store.spawn(func() { defer cancel(); w.flush(detached) }); err != nil {
		cancel()
		w.breakLocked(err)

		return err
	}
	w.flushing, w.cancel = true, cancel

	return nil
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
		w.stored(piece, frame)
	}
}

// stopFlushing breaks the writer.
func (w *Writer) stopFlushing(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = false
	w.breakLocked(err)
}

// stored takes a stored frame out of the window.
func (w *Writer) stored(piece slice, frame *bus.Frame) {
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
}

// build returns the next frame, or nil when there is nothing to store: then the goroutine must end.
func (w *Writer) build() (slice, *bus.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.ended || len(w.window.sizes) == 0 && w.end == nil {
		w.flushing = false

		return slice{}, nil
	}
	piece := slice{first: w.window.first}
	if len(w.window.sizes) > 0 {
		piece = w.window.peek(w.store.cfg.FrameBytes, w.store.maxBody)
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
