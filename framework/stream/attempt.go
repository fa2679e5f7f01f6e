package stream

import (
	"context"
	"fmt"
	"maps"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/subjects"
)

// Policy says how an attempt goes on after an earlier one that did not end its stream.
type Policy int

// The policies.
const (
	// Restart replaces the earlier attempt's text from its first chunk on.
	Restart Policy = iota
	// Resume keeps the earlier attempt's whole chunks, which [Writer.Partial] returns, and goes on behind them.
	Resume
	// Fail ends the stream as failed: OpenWriter returns [EndedError].
	Fail
)

// reasonLost is why a stream failed whose writer went away under policy Fail.
const reasonLost = "instance lost"

// maxType bounds a data type in bytes: it travels with every frame.
const maxType = 128

// OpenWriter begins an attempt to write a stream. Nothing is stored before the first chunk or the end is: until then
// an earlier attempt may still write.
//
// It fails with [EndedError] when the stream already has its final frame, and with bus.ErrInvalid for ids and data types
// that can't be used.
func (s *Store) OpenWriter(ctx context.Context, cfg WriterConfig) (*Writer, error) {
	if subjects.Reserved(cfg.Info.Stream) {
		return nil, fmt.Errorf("open writer: stream id %q is reserved: %w", cfg.Info.Stream, bus.ErrInvalid)
	}
	if len(cfg.Info.Type) > maxType {
		return nil, fmt.Errorf("open writer: a data type of %d bytes, of at most %d: %w", len(cfg.Info.Type), maxType, bus.ErrInvalid)
	}
	if cfg.Info.Type == "" {
		cfg.Info.Type = bus.Text
	}
	cfg.Trace = telemetry.Bounded(cfg.Trace)
	w := &Writer{
		store: s, cfg: cfg, id: bus.StreamID{Session: cfg.Session, Stream: cfg.Info.Stream}, writer: randomID(), attempt: 1,
		lead: newLead(&s.cfg, cfg.Readers),
	}
	if err := w.begin(ctx); err != nil {
		return nil, fmt.Errorf("open writer: %w", err)
	}
	w.beginSpan(ctx)

	return w, nil
}

// begin finds out what the log holds, of the timeline, too, at the same time: the first chunk needs it.
func (w *Writer) begin(ctx context.Context) error {
	if !w.cfg.Unlisted {
		var err error
		if w.timeline, err = w.glance(ctx); err != nil {
			return err
		}
	}
	if !w.cfg.New {
		last, err := w.store.last(ctx, w.id)
		if err != nil {
			return err
		}
		w.earlier, w.tail = last, last
	}
	if w.tail != nil {
		if err := w.confirmAnnounced(ctx, w.tail); err != nil {
			return err
		}
		if err := w.succeed(ctx, w.tail); err != nil {
			return err
		}
	}

	return w.listen(ctx)
}

// succeed makes w the attempt after the one that wrote last.
func (w *Writer) succeed(ctx context.Context, last *bus.Entry) error {
	if last.State.Final() {
		return &EndedError{End: endOf(&last.Frame)}
	}
	if last.Attempt >= bus.MaxAttempt {
		return fmt.Errorf("%d attempts: %w", last.Attempt, bus.ErrInvalid)
	}
	w.attempt = last.Attempt + 1
	if w.cfg.Policy == Restart {
		return nil
	}
	w.window.first = last.End().Index
	w.resumes = w.window.first
	if w.cfg.Policy == Resume {
		return nil
	}
	if err := w.Fail(ctx, reasonLost); err != nil {
		return err
	}

	return &EndedError{End: End{State: bus.Failed, Reason: reasonLost}}
}

// Partial returns the chunks of earlier attempts that stay visible under policy Resume: the attempt goes on behind
// them. Under Restart there are none.
func (w *Writer) Partial(ctx context.Context) ([]Chunk, error) {
	if w.cfg.Policy != Resume || w.earlier == nil {
		return nil, nil
	}
	chunks, err := w.store.visible(ctx, w.earlier)
	if err != nil {
		return nil, fmt.Errorf("read partial output: %w", err)
	}

	return chunks[:min(uint64(len(chunks)), w.resumesAt())], nil
}

// Rewind makes an attempt under policy Resume keep only the first n chunks of Partial and go on behind those; readers
// are told that the others were superseded when the first frame is stored. Rewind(0) starts over. It must come before
// the first Send and before the end, and there must be n chunks to keep; otherwise it fails with bus.ErrInvalid.
func (w *Writer) Rewind(n uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil || w.window.next() != w.resumes {
		return fmt.Errorf("rewind: the attempt has begun to write: %w", bus.ErrInvalid)
	}
	if n > w.resumes {
		return fmt.Errorf("rewind: %d chunks are there to keep, not %d: %w", w.resumes, n, bus.ErrInvalid)
	}
	w.window.first, w.resumes = n, n

	return nil
}

// resumesAt returns how many chunks of earlier attempts stay.
func (w *Writer) resumesAt() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.resumes
}

// markBegin makes f the first frame of its attempt if it is. Only the first frame carries the trace: there is one span
// for a stream, not one for each chunk.
func (w *Writer) markBegin(f *bus.Frame) {
	if w.begun {
		f.Life = w.tail.Life

		return
	}
	f.Begin = true
	f.Trace = maps.Clone(w.cfg.Trace)
	w.follow(f, w.tail)
}

// settle decides where a frame goes after a conflict with a newer entry than the one this writer stood behind. Only the
// first frame of an attempt may move: behind what the attempt before wrote meanwhile. Its First stays, for the text it
// continues is the one that the attempt was opened with.
func (w *Writer) settle(_ context.Context, f *bus.Frame, c conflict) (stored, behind *bus.Entry, err error) {
	last := c.last
	switch {
	case last == nil, c.after != nil && !before(c.after.Position, last.Position):
		return nil, c.after, nil // older than what is known
	case w.begun || last.Attempt >= w.attempt:
		return nil, nil, ErrFenced
	case last.State.Final():
		return nil, nil, &EndedError{End: endOf(&last.Frame)}
	case c.after != nil && last.Life != c.after.Life:
		return nil, nil, ErrExpired // the text that this attempt goes on from is gone, and another one has begun
	}
	w.follow(f, last)

	return nil, last, nil
}

// follow makes f, the first frame of an attempt, follow the last entry of an earlier one; nil: there is none.
func (w *Writer) follow(f *bus.Frame, last *bus.Entry) {
	f.Life, f.After = w.writer, bus.Cursor{}
	if last != nil {
		f.Life, f.After = last.Life, last.End()
		f.After.Life = ""
	}
}
