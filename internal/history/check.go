package history

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// What a contradiction means for whoever uses the stream. Each error that Check joins satisfies [errors.Is] for one.
var (
	// ErrLost: something acknowledged is not stored, or something stored was not delivered.
	ErrLost = errors.New("lost")
	// ErrDuplicated: something was delivered again.
	ErrDuplicated = errors.New("duplicated")
	// ErrDisordered: something came at a place where it does not belong.
	ErrDisordered = errors.New("out of order")
	// ErrZombie: an attempt wrote after its successor, or beside it.
	ErrZombie = errors.New("zombie")
	// ErrDiverged: what is stored, or was delivered, is not what was sent.
	ErrDiverged = errors.New("diverged")
	// ErrUnfinished: the end was not delivered.
	ErrUnfinished = errors.New("unfinished")
)

// Check returns everything that contradicts the guarantees, or nil. log is all that the bus holds of the stream, in
// order, read after the stream has ended and everything came to rest.
func (h *History) Check(log []*bus.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	stored, problems := replay(log)
	problems = append(problems, fenced(log)...)
	for _, w := range h.writers {
		problems = append(problems, w.check(stored)...)
	}
	problems = append(problems, h.sent(stored)...)
	for _, r := range h.readers {
		problems = append(problems, r.check(stored)...)
	}

	return errors.Join(problems...)
}

// place is where a chunk was stored.
type place struct {
	attempt uint32
	index   uint64
}

// stored is what a log holds, worked out without the code under test.
type stored struct {
	chunks map[place][]byte
	text   []stream.Chunk // what is visible in the end
	last   *bus.Frame
	owners map[uint32]string // the writer of each attempt
}

// replay applies the frames of a log one after the other.
func replay(log []*bus.Entry) (*stored, []error) {
	s := &stored{chunks: make(map[place][]byte), owners: make(map[uint32]string)}
	var problems []error
	for i, e := range log {
		if s.last != nil && s.last.State.Final() {
			problems = append(problems, fmt.Errorf("entry %d was stored after the final frame: %w", i, ErrZombie))
		}
		if err := s.apply(&e.Frame); err != nil {
			problems = append(problems, fmt.Errorf("entry %d: %w", i, err))
		}
	}

	return s, problems
}

func (s *stored) apply(f *bus.Frame) error {
	if f.Begin {
		if f.First > uint64(len(s.text)) {
			return fmt.Errorf("attempt %d begins at %d, behind the %d visible chunks: %w", f.Attempt, f.First, len(s.text), ErrDisordered)
		}
		s.text = s.text[:f.First]
		s.owners[f.Attempt] = f.Writer
	}
	s.last = f
	body := f.Body
	for i, n := range f.Lengths {
		p := place{f.Attempt, f.First + uint64(i)}
		if f.Offset != len(s.chunks[p]) {
			return fmt.Errorf("a part of chunk %d begins at %d, not %d: %w", p.index, f.Offset, len(s.chunks[p]), ErrDisordered)
		}
		s.chunks[p] = append(s.chunks[p], body[:n]...)
		body = body[n:]
		if f.More {
			break
		}
		if p.index != uint64(len(s.text)) {
			return fmt.Errorf("chunk %d follows %d visible chunks: %w", p.index, len(s.text), ErrDisordered)
		}
		s.text = append(s.text, stream.Chunk{Index: p.index, Data: s.chunks[p], Attempt: int(f.Attempt), Type: f.Type})
	}

	return nil
}

// fenced checks that no attempt wrote after its successor, and that each has one writer.
func fenced(log []*bus.Entry) []error {
	var problems []error
	for i := 1; i < len(log); i++ {
		e, f := &log[i-1].Frame, &log[i].Frame
		switch {
		case f.Attempt < e.Attempt:
			problems = append(problems, fmt.Errorf("entry %d: attempt %d wrote after attempt %d: %w", i, f.Attempt, e.Attempt, ErrZombie))
		case f.Attempt == e.Attempt && f.Writer != e.Writer:
			problems = append(problems, fmt.Errorf("entry %d: two writers of attempt %d: %w", i, f.Attempt, ErrZombie))
		case f.Begin != (f.Attempt > e.Attempt):
			problems = append(problems, fmt.Errorf("entry %d: a beginning at the wrong place: %w", i, ErrDisordered))
		}
	}

	return problems
}

// check compares what a writer knows to be stored with what is.
func (w *Writer) check(s *stored) []error {
	var problems []error
	for i := w.first; i < w.acked; i++ {
		data, _ := w.chunk(i)
		if got, ok := s.chunks[place{w.attempt, i}]; !ok || !bytes.Equal(got, data) {
			problems = append(problems, fmt.Errorf("attempt %d: acknowledged chunk %d is not stored: %w", w.attempt, i, ErrLost))
		}
	}
	if !w.ended {
		return problems
	}
	if s.last == nil || s.last.Attempt != w.attempt || s.last.State != w.state {
		problems = append(problems, fmt.Errorf("attempt %d: the acknowledged end is not the log's: %w", w.attempt, ErrLost))
	}
	if n := w.first + uint64(len(w.sent)); uint64(len(s.text)) != n {
		problems = append(problems, fmt.Errorf("attempt %d ended %d chunks, %d are visible: %w", w.attempt, n, len(s.text), ErrLost))
	}

	return problems
}

// sent checks that whatever is visible was sent by a writer of its attempt.
func (h *History) sent(s *stored) []error {
	var problems []error
	for _, c := range s.text {
		if !h.sentBy(c) {
			problems = append(problems, fmt.Errorf("chunk %d of attempt %d was never sent: %w", c.Index, c.Attempt, ErrDiverged))
		}
	}

	return problems
}

func (h *History) sentBy(c stream.Chunk) bool {
	for _, w := range h.writers {
		if data, ok := w.chunk(c.Index); ok && int(w.attempt) == c.Attempt && bytes.Equal(data, c.Data) {
			return true
		}
	}

	return false
}
