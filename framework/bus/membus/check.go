package membus

import (
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

func checkID(what, id string) error {
	if err := subjects.CheckID(what, id); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return nil
}

func checkStream(id bus.StreamID) error {
	if err := checkID("session", id.Session); err != nil {
		return err
	}

	return checkID("stream", id.Stream)
}

func checkFrame(f *bus.Frame, maxBody int) error {
	if err := checkStream(f.ID); err != nil {
		return err
	}

	if f.Attempt == 0 || f.Attempt > bus.MaxAttempt || f.First > bus.MaxIndex {
		return fmt.Errorf("attempt %d, index %d: %w", f.Attempt, f.First, bus.ErrInvalid)
	}

	if err := checkLengths(f); err != nil {
		return err
	}

	if header := headerBytes(f); len(f.Body) > maxBody || header > maxBody {
		return fmt.Errorf("%d bytes of body and %d of header, each of at most %d: %w",
			len(f.Body), header, maxBody, bus.ErrTooLarge)
	}

	return nil
}

func checkLetter(l *bus.Letter, maxBody int) error {
	for _, part := range []struct{ what, id string }{
		{"letter id", l.ID}, {"component", l.Component}, {"session", l.Session},
	} {
		if err := checkID(part.what, part.id); err != nil {
			return err
		}
	}

	if len(l.Body) > maxBody || mapBytes(l.Trace) > maxBody {
		return fmt.Errorf("%d bytes of body, of at most %d: %w", len(l.Body), maxBody, bus.ErrTooLarge)
	}

	return nil
}

func checkLengths(f *bus.Frame) error {
	sum := 0

	for _, n := range f.Lengths {
		if n < 0 || n > len(f.Body) {
			return fmt.Errorf("a chunk of %d in a body of %d bytes: %w", n, len(f.Body), bus.ErrInvalid)
		}

		sum += n
	}

	parts := f.Offset != 0 || f.More
	if sum != len(f.Body) || f.Offset < 0 || parts && len(f.Lengths) != 1 {
		return fmt.Errorf("%d chunks of %d bytes in a body of %d: %w", len(f.Lengths), sum, len(f.Body), bus.ErrInvalid)
	}

	return nil
}

func headerBytes(f *bus.Frame) int { return len(f.Reason) + mapBytes(f.Meta) + mapBytes(f.Trace) }

func mapBytes(m map[string]string) int {
	if len(m) == 0 {
		return 0
	}

	n := 0
	for k, v := range m {
		n += len(k) + len(v)
	}

	return n
}
