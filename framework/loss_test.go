package framework_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// TestAnEmptyServerTakesOver ends a Redis server that keeps nothing in the middle of a turn, and starts it again: the turn
// is told that it is lost, and the session goes on with the next one, for whoever follows it.
func TestAnEmptyServerTakesOver(t *testing.T) {
	t.Parallel()

	server := redistest.Run(t, redistest.Options{})
	cfg := framework.Config{URL: server.URL()}
	begun, ended := make(chan struct{}, 1), make(chan error, 1)

	var turns atomic.Int32

	serve(t, framework.Service{Name: "llm", Handler: func(ctx context.Context, turn *framework.Turn) error {
		if turns.Add(1) > 1 {
			return turn.Output.Send(ctx, []byte("again"))
		}

		err := errors.Join(turn.Output.Send(ctx, []byte("lost ")), turn.Output.Flush(ctx))
		begun <- struct{}{}

		<-ctx.Done()
		ended <- errors.Join(err, context.Cause(ctx))

		return ctx.Err()
	}}, cfg)

	client, err := framework.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = client.Close(context.WithoutCancel(t.Context())) }()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	answers := make(chan string, 64)

	go followAnew(ctx, client, "s", answers)

	post := func() {
		if _, err := client.Post(ctx, framework.Post{Session: "s", Component: "llm"}, []byte("question")); err != nil {
			t.Error(err)
		}
	}

	post()
	<-begun

	if answer := <-answers; answer != "lost " {
		t.Fatalf("read %q", answer)
	}

	server.Kill()
	server.Start()

	if err := <-ended; !errors.Is(err, bus.ErrLost) {
		t.Errorf("the turn ended with %v, want %v", err, bus.ErrLost)
	}

	post()

	for answer := range answers {
		if answer == "again" {
			return
		}
	}

	t.Error("the answer of the next turn was not seen")
}

// followAnew passes on the chunks of a session, and begins anew where its log has; it ends with ctx or the client.
func followAnew(ctx context.Context, client *framework.Client, session string, chunks chan<- string) {
	defer close(chunks)

	for ctx.Err() == nil {
		f, err := client.Follow(ctx, stream.FollowConfig{Session: session})
		for err == nil {
			var ev stream.SessionEvent
			if ev, err = f.Next(ctx); err == nil && ev.Event.Kind == stream.KindChunk {
				chunks <- string(ev.Event.Chunk.Data)
			}
		}

		if f != nil {
			f.Close()
		}

		if !errors.Is(err, stream.ErrExpired) {
			return
		}
	}
}
