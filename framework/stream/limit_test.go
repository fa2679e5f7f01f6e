package stream_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// shrinkingBus takes less than it did.
type shrinkingBus struct {
	bus.Bus

	most int
}

func (b *shrinkingBus) Info() bus.Info {
	info := b.Bus.Info()
	info.MaxBody = b.most

	return info
}

func (b *shrinkingBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if len(f.Body) > b.most {
		return nil, bus.ErrTooLarge
	}

	return b.Bus.Append(ctx, f, after)
}

// TestFramesFitWhatTheBusTakesNow lowers what a bus takes under an open stream, as a server does that is started again.
func TestFramesFitWhatTheBusTakesNow(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := &shrinkingBus{Bus: membus.New(membus.Config{}), most: 1000}
		s := stream.NewStore(b, b.Info(), stream.Config{})
		defer s.Close()

		w, err := s.OpenWriter(t.Context(), stream.WriterConfig{
			Session: "s", Info: stream.Info{Stream: "out", Component: "llm"},
		})
		if err != nil {
			t.Fatal(err)
		}

		for _, most := range []int{1000, 400, 150} {
			b.most = most

			if err := w.Send(t.Context(), bytes.Repeat([]byte("x"), 900)); err != nil {
				t.Fatal(err)
			}

			if err := w.Flush(t.Context()); err != nil {
				t.Fatalf("a chunk of 900 bytes on a bus that takes %d: %v", most, err)
			}
		}

		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
