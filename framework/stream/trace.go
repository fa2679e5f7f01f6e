package stream

import (
	"context"
	"errors"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// traceTimeout bounds the search for the trace context of the attempt before.
const traceTimeout = time.Second

// Trace returns the W3C trace context that travels with the attempt; nil without tracing. It must not be changed.
func (w *Writer) Trace() map[string]string { return w.cfg.Trace }

// Before returns the W3C trace context of the attempt before, as its first frame has it; nil without one, and when
// tracing is off.
func (w *Writer) Before() map[string]string { return w.before }

// Trace returns the W3C trace context of the attempt that is read, once something of it was; nil without tracing, and
// for a reader that began within the attempt. It is for the goroutine that calls Next, and must not be changed.
func (r *Reader) Trace() map[string]string { return r.merge.trace }

// Trace returns the W3C trace context of the stream that is read, as [Reader.Trace] does; nil between streams.
func (f *Follower) Trace() map[string]string {
	if f.stream == nil {
		return nil
	}

	return f.stream.Trace()
}

// beginSpan begins the span of the attempt, whose context is what travels with it from here on. A writer that only ends
// what another one wrote has none.
func (w *Writer) beginSpan(ctx context.Context) {
	info := &w.cfg.Info
	if w.store.cfg.Tracer == nil || info.Component == "" {
		return
	}
	w.span = w.store.cfg.Tracer.Send(ctx, w.cfg.Trace, spanOf(w.cfg.Session, info, int(w.attempt)))
	w.cfg.Trace = w.span.Trace(nil)
	if w.earlier != nil {
		w.before = w.store.traceOf(ctx, w.earlier)
		w.span.Follows(ctx, w.before)
	}
}

func spanOf(session string, info *Info, attempt int) telemetry.Stream {
	return telemetry.Stream{
		Session: session, Stream: info.Stream, Component: info.Component, Target: info.Target, Turn: info.Turn,
		Root: info.Root, Attempt: attempt,
	}
}

// traceOf returns the trace context that the first frame of the log's last attempt has, or nil.
func (s *Store) traceOf(ctx context.Context, last *bus.Entry) map[string]string {
	if last.Begin {
		return last.Trace
	}
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()
	for e, err := range s.log.Read(ctx, last, bus.Cursor{Attempt: last.Attempt}) {
		if err != nil {
			return nil
		}
		if e.Begin && e.Attempt == last.Attempt {
			return e.Trace
		}
	}

	return nil
}

// endBroken ends the span of a writer that can store no more.
func (w *Writer) endBroken(err error) {
	if w.span == nil {
		return
	}
	var ended *EndedError
	switch {
	case errors.Is(err, ErrFenced):
		w.span.EndStream(telemetry.Superseded, w.window.first, nil)
	case errors.Is(err, ErrClosed):
		w.span.EndStream(telemetry.Abandoned, w.window.first, nil)
	case errors.As(err, &ended):
		w.span.EndStream(string(ended.End.State), w.window.first, nil)
	default:
		w.span.EndStream(telemetry.Broken, w.window.first, err)
	}
}

// beginReading begins to record the reading of a stream from its opening on.
func (f *Follower) beginReading(ctx context.Context) {
	if tracer := f.store.cfg.Tracer; tracer != nil {
		f.reading = tracer.Read(ctx, spanOf(f.cfg.Session, &f.info, 0))
	}
}

// note records an event of the stream that is read.
func (f *Follower) note(ev Event) {
	if f.reading == nil {
		return
	}
	switch ev.Kind {
	case KindChunk:
		f.reading.Attempt(ev.Chunk.Attempt, f.stream.Trace())
		f.reading.Chunk()
	case KindSuperseded:
		f.reading.Superseded(ev.From)
	case KindEnd:
		f.reading.Attempt(int(ev.Cursor.Attempt), f.stream.Trace())
		f.reading.End(string(ev.End.State))
	case KindOpened:
	}
}
