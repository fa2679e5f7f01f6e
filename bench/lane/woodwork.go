package lane

import (
	"context"
	"crypto/rand"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Woodwork opens streams on a bus.
type Woodwork struct {
	store *stream.Store
}

// NewWoodwork returns the lanes of a bus, with the framework's own settings.
func NewWoodwork(b bus.Bus) *Woodwork { return ConfigureWoodwork(b, stream.Config{}) }

// ConfigureWoodwork returns the lanes of a bus with other settings.
func ConfigureWoodwork(b bus.Bus, cfg stream.Config) *Woodwork {
	return &Woodwork{stream.NewStore(b, b.Info(), cfg)}
}

// Close ends what the lanes share, not the bus.
func (w *Woodwork) Close() { w.store.Close() }

// Open opens a lane: a stream with one reader.
func (w *Woodwork) Open(ctx context.Context) (Lane, error) {
	id := bus.StreamID{Session: rand.Text(), Stream: "out"}

	reader, err := w.store.OpenReader(ctx, id, bus.Cursor{})
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the stream
	}

	writer, err := w.store.OpenWriter(ctx, stream.WriterConfig{
		Session: id.Session, Info: stream.Info{Stream: id.Stream, Component: "bench"},
	})
	if err != nil {
		reader.Close()

		return nil, err //nolint:wrapcheck // it names the stream
	}

	return &hop{writer: writer, reader: reader}, nil
}

type hop struct {
	writer *stream.Writer
	reader *stream.Reader
}

// Send implements [Lane].
func (h *hop) Send(ctx context.Context, data []byte) error {
	return h.writer.Send(ctx, data) //nolint:wrapcheck // the caller says which lane it was
}

// Receive implements [Lane].
func (h *hop) Receive(ctx context.Context) ([]byte, error) {
	for {
		e, err := h.reader.Next(ctx)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller says which lane it was
		}

		if e.Kind == stream.KindChunk {
			return e.Chunk.Data, nil
		}
	}
}

// Close implements [Lane].
func (h *hop) Close(ctx context.Context) error {
	defer h.reader.Close()

	return h.writer.Close(ctx) //nolint:wrapcheck // the caller says which lane it was
}
