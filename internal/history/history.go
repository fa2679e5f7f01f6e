package history

import (
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// History holds what happened to one stream. All methods may be called concurrently.
type History struct {
	mu      sync.Mutex
	writers []*Writer
	readers []*Reader
}

// New returns an empty history.
func New() *History { return &History{} }

// Writer notes what one writer did.
type Writer struct {
	history *History
	attempt uint32
	first   uint64
	sent    [][]byte
	acked   uint64 // index behind the last chunk that was acknowledged
	state   bus.State
	ended   bool // the end was acknowledged
}

// Writer notes that a writer was opened as an attempt whose first chunk has the index first.
func (h *History) Writer(attempt int, first uint64) *Writer {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Writer{history: h, attempt: uint32(attempt), first: first, acked: first}
	h.writers = append(h.writers, w)

	return w
}

// Send notes that a chunk is about to be sent.
func (w *Writer) Send(data []byte) {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.sent = append(w.sent, slices.Clone(data))
}

// Refused takes the last Send back: it failed before the writer took the chunk.
func (w *Writer) Refused() {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.sent = w.sent[:len(w.sent)-1]
}

// Flushed notes that everything that was sent before is acknowledged.
func (w *Writer) Flushed() {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.acked = w.first + uint64(len(w.sent))
}

// End notes that the writer is about to end the stream.
func (w *Writer) End(state bus.State) {
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.state = state
}

// Ended notes that the end, and so everything that was sent, is acknowledged.
func (w *Writer) Ended() {
	w.Flushed()
	w.history.mu.Lock()
	defer w.history.mu.Unlock()
	w.ended = true
}

// chunk returns what the writer sent at an index.
func (w *Writer) chunk(index uint64) ([]byte, bool) {
	if index < w.first || index-w.first >= uint64(len(w.sent)) {
		return nil, false
	}

	return w.sent[index-w.first], true
}

// Reader notes what one reader saw.
type Reader struct {
	history *History
	name    string
	events  []stream.Event
}

// Reader notes that a reader was opened at the beginning of the stream. When it leaves and another one is opened at
// the cursor of the event that it saw last, both are the same reader here.
func (h *History) Reader(name string) *Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &Reader{history: h, name: name}
	h.readers = append(h.readers, r)

	return r
}

// Saw notes an event.
func (r *Reader) Saw(ev stream.Event) {
	r.history.mu.Lock()
	defer r.history.mu.Unlock()
	r.events = append(r.events, ev)
}
