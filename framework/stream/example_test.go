package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// A writer dies in the middle of its text, and the next attempt begins anew. The reader is told what to forget.
func Example() {
	ctx := context.Background()
	b := membus.New(membus.Config{})
	store := stream.NewStore(b, b.Info(), stream.Config{})
	defer store.Close()
	answer := stream.WriterConfig{Session: "anna", Info: stream.Info{Stream: "answer-1"}}

	reader, err := store.OpenReader(ctx, bus.StreamID{Session: "anna", Stream: "answer-1"}, bus.Cursor{})
	if err != nil {
		panic(err)
	}
	defer reader.Close()
	show := func() bool {
		ev, err := reader.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			panic(err)
		case ev.Kind == stream.KindChunk:
			fmt.Printf("%d: %s\n", ev.Chunk.Index, ev.Chunk.Data)
		case ev.Kind == stream.KindSuperseded:
			fmt.Printf("forget from %d on\n", ev.From)
		default:
			fmt.Println(ev.End.State)
		}

		return true
	}
	write := func(chunks ...string) *stream.Writer {
		w, err := store.OpenWriter(ctx, answer)
		if err != nil {
			panic(err)
		}
		for _, c := range chunks {
			if err := w.Send(ctx, []byte(c)); err != nil {
				panic(err)
			}
		}

		return w
	}

	first := write("Hel")
	show()
	first.Abandon() // as if it had died
	if err := write("Hello", "world").Close(ctx); err != nil {
		panic(err)
	}
	for show() {
		continue
	}

	// Output:
	// 0: Hel
	// forget from 0 on
	// 0: Hello
	// 1: world
	// completed
}
