package stream

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// Info says what a stream is. It is what the session's timeline tells of it.
type Info struct {
	// Stream is the stream's id within its session.
	Stream string `json:"stream"`
	// Component is the one that writes the stream.
	Component string `json:"component,omitempty"`
	// Target is the component that reads it; empty or "output" stands for the user.
	Target string `json:"target,omitempty"`
	// Turn is the turn that the stream answers, or is.
	Turn string `json:"turn,omitempty"`
	// Root is the turn that everything began with.
	Root string `json:"root,omitempty"`
	// Type is what the chunks are. Defaults to text.
	Type bus.DataType `json:"type,omitempty"`
}

// WriterConfig names a stream and says how to go on when an earlier attempt wrote to it.
type WriterConfig struct {
	// Session is the session that the stream belongs to. Required.
	Session string
	// Info describes the stream; its Stream is required.
	Info Info
	// Policy says what becomes of an earlier attempt's text. Defaults to Restart.
	Policy Policy
	// Trace is the W3C trace context ("traceparent", "tracestate") that the writer's span goes on from, and that travels
	// with the attempt where there is no span. Defaults to that of OpenWriter's ctx.
	Trace map[string]string
	// Readers are the components that the stream is assigned to: Send doesn't get further ahead of the slowest of them
	// than [Config].AheadChunks and AheadBytes. They open it with [Store.OpenAssigned]. Defaults to none.
	Readers []string
	// Unlisted keeps the stream out of the session's timeline. Defaults to false.
	Unlisted bool
	// New says that nobody has written the stream, as with an id that was just drawn: the log is not asked for an
	// earlier attempt first. Where that is wrong, storing fails with [ErrFenced]. Defaults to false.
	New bool
}

// Writer appends chunks to a stream as one attempt. Its methods may be called concurrently; chunks are stored in the
// order of the calls to Send. Whoever opens a writer must end it with Close, Fail or Cancel, or leave it with
// Abandon or Withdraw.
//
// A writer that has nothing to store holds no goroutine and no timer.
type Writer struct {
	store   *Store
	cfg     WriterConfig
	id      bus.StreamID
	writer  string
	attempt uint32
	earlier *bus.Entry // where the log ended when the writer was opened
	span    *telemetry.Span
	before  map[string]string // trace context of the attempt before

	// These belong to whoever flushes: at most one goroutine at a time, or whoever has the lock while nobody does.
	tail     *bus.Entry // last entry of the log as this writer knows it
	begun    bool       // an append of this attempt was stored
	timeline *glance    // the end of the timeline where the stream is announced; nil where it is not

	mu       sync.Mutex
	window   window
	lead     *lead  // nil without assigned readers
	resumes  uint64 // how many chunks of earlier attempts stay
	end      *End
	meta     map[string]string
	ended    bool // the final frame is stored
	shown    bool // a chunk of this attempt is stored
	flushing bool
	cancel   context.CancelFunc // ends what the last goroutine that flushed waits for; nil before the first
	err      error              // why nothing more can be stored
	changed  chan struct{}      // closed when something above changes; nil while nobody waits
}

// ID returns the stream that the writer writes to.
func (w *Writer) ID() bus.StreamID { return w.id }

// Attempt returns the number of the attempt, counted from 1.
func (w *Writer) Attempt() int { return int(w.attempt) }

// Next returns the index that the next chunk will have.
func (w *Writer) Next() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.window.next()
}

// Send takes one chunk, copies it, and returns as soon as it fits into the window: it may not be stored yet. It
// blocks while the window is full, while all writers together hold too much, and while the writer is too far ahead of
// the readers that the stream is assigned to. Flush or Close say whether everything was stored.
//
// It fails with a [TooLargeError], with [EndedError] after the writer was closed, with ctx's error when it did not
// fit in the meantime, or with the reason why an earlier chunk could not be stored ([ErrFenced], [ErrExpired], or the bus's
// error); that one stays.
func (w *Writer) Send(ctx context.Context, data []byte) error { return w.send(ctx, data, true) }

// TrySend is Send for callers that prefer not to wait: it fails with [ErrBackpressure] at once where Send would block,
// and the chunk was not taken.
func (w *Writer) TrySend(ctx context.Context, data []byte) error { return w.send(ctx, data, false) }

func (w *Writer) send(ctx context.Context, data []byte, patient bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.accept(ctx, data, patient); err != nil {
		return err
	}

	return w.flushLocked(ctx)
}

// accept takes a chunk into the window, with the lock held on entry and return.
func (w *Writer) accept(ctx context.Context, data []byte, patient bool) error {
	if limit := w.store.cfg.MaxChunk; len(data) > limit {
		return &TooLargeError{Size: len(data), Max: limit}
	}
	if err := w.room(ctx, len(data), patient); err != nil {
		return fmt.Errorf("send chunk: %w", err)
	}
	if w.end != nil {
		return fmt.Errorf("send chunk: %w", &EndedError{End: *w.end})
	}
	w.window.add(data)
	w.store.held.Add(int64(len(data)))
	if w.lead != nil {
		w.lead.add(len(data))
	}

	return nil
}

// The bounds of what travels in the headers of a final frame, so that it can always be stored.
const (
	// MaxReason is how long a reason may be, in bytes.
	MaxReason = 1 << 10
	// MaxMeta is how long all keys and values that SetMeta sets may be together, in bytes.
	MaxMeta = 4 << 10
)

// SetMeta sets a small fact about the stream, such as token usage, that travels in the final frame. It has no effect
// after Close, Fail or Cancel, and none where all facts together would be longer than [MaxMeta]: a fact is never worth
// the stream's end. The keys "timeline" and "timeline_life" are
// reserved and ignored.
func (w *Writer) SetMeta(key, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := len(key) + len(value)
	for k, v := range w.meta {
		if k != key {
			size += len(k) + len(v)
		}
	}
	if reserved(key) || w.end != nil || size > MaxMeta {
		return
	}
	if w.meta == nil {
		w.meta = make(map[string]string)
	}
	w.meta[key] = value
}

// Flush returns nil after the bus stored every chunk that was sent before.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	target := w.window.next()
	if err := w.await(ctx, func() bool { return w.window.first >= target }); err != nil {
		return fmt.Errorf("flush: %w", err)
	}

	return nil
}

// Close ends the stream as completed. It returns nil after the bus stored all of it. It may be repeated, for example
// after ctx ended before the bus answered; storing goes on meanwhile. After Fail or Cancel it returns [EndedError].
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.finish(ctx, End{State: bus.Completed})
}

// CloseWith is Send and Close in one: a last chunk that fits into a frame is stored together with the end. It fails as
// either does.
func (w *Writer) CloseWith(ctx context.Context, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.accept(ctx, data, true); err != nil {
		return err
	}

	return w.finish(ctx, End{State: bus.Completed})
}

// Fail ends the stream as failed, with a reason for people, of which at most [MaxReason] bytes are kept. What was sent
// before stays readable. Otherwise like Close.
func (w *Writer) Fail(ctx context.Context, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.finish(ctx, End{State: bus.Failed, Reason: reason})
}

// Cancel ends the stream as cancelled. Otherwise like Fail.
func (w *Writer) Cancel(ctx context.Context, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.finish(ctx, End{State: bus.Cancelled, Reason: reason})
}

// Ends reports whether the writer was told to end the stream, whether or not that is stored.
func (w *Writer) Ends() bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.end != nil
}

// Abandon leaves the stream without an end, so that a later attempt can go on. Chunks that are not stored yet are
// dropped. Every later call fails with [ErrClosed]. It does not wait.
func (w *Writer) Abandon() {
	defer w.unlisten()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.breakLocked(ErrClosed)
	if w.cancel != nil {
		w.cancel()
	}
}

// Withdraw is Abandon for whoever lets a later attempt begin: it returns nil after nothing of this writer is under way
// any more, so that what the later attempt finds in the log is what it stays behind. A frame that arrived after the
// later attempt looked would fence it off. When ctx ends first it returns that error, and such a frame may still come.
func (w *Writer) Withdraw(ctx context.Context) error {
	defer w.Abandon()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	w.breakLocked(ErrClosed)
	for w.flushing {
		if err := w.sleep(ctx, 0); err != nil {
			return fmt.Errorf("withdraw: %w", err)
		}
	}

	return nil
}

// finish sets the end, once, and waits until it is stored, with the lock held on entry and return.
func (w *Writer) finish(ctx context.Context, end End) error {
	if w.end != nil && w.end.State != end.State {
		return fmt.Errorf("end stream: %w", &EndedError{End: *w.end})
	}
	if w.end == nil && w.err == nil {
		end.Reason, end.Meta = clip(end.Reason), maps.Clone(w.meta)
		w.end = &end
		w.signalLocked()
		if err := w.flushLocked(ctx); err != nil {
			return err
		}
	}
	if err := w.await(ctx, func() bool { return w.ended }); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}

	return nil
}

// CheckReason refuses with bus.ErrInvalid a reason that would not be kept whole.
func CheckReason(reason string) error {
	if len(reason) > MaxReason {
		return fmt.Errorf("a reason of %d bytes, of at most %d: %w", len(reason), MaxReason, bus.ErrInvalid)
	}

	return nil
}

// clip returns as much of a reason as is kept.
func clip(reason string) string {
	const more = "…"
	if len(reason) <= MaxReason {
		return reason
	}
	n := MaxReason - len(more)
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}

	return reason[:n] + more
}

// await waits, with the lock held on entry and return, until ready, the writer is broken, or ctx ends.
func (w *Writer) await(ctx context.Context, ready func() bool) error {
	for {
		if w.err != nil {
			return w.err
		}
		if ready() {
			return nil
		}
		if err := w.sleep(ctx, 0); err != nil {
			return err
		}
	}
}

// sleep lets go of the lock until something changes or ctx ends; with a positive duration also when that is over or
// the store closes.
func (w *Writer) sleep(ctx context.Context, most time.Duration) error {
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	changed := w.changed
	w.mu.Unlock()
	defer w.mu.Lock()
	var over <-chan time.Time
	var closing <-chan struct{}
	if most > 0 {
		timer := time.NewTimer(most)
		defer timer.Stop()
		over, closing = timer.C, w.store.closing
	}
	select {
	case <-changed:
	case <-over:
	case <-closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	return nil
}

// signalLocked wakes everyone in await.
func (w *Writer) signalLocked() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// breakLocked makes every later call fail with err. The first reason stays.
func (w *Writer) breakLocked(err error) {
	if w.err == nil {
		w.err = err
		w.endBroken(err)
		w.store.held.Add(-int64(len(w.window.bytes)))
		w.window.drop()
	}
	w.signalLocked()
}
