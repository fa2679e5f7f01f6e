package turn_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// TestAProducerWaitsForItsComponentUntilThatIsDone has a component that reads a little and holds its producer back, and
// then ends its turn: the producer goes on to the end without it.
func TestAProducerWaitsForItsComponentUntilThatIsDone(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		const chunks = 5000

		var sent atomic.Int64

		broker := membus.NewBroker(membus.Config{})
		enough := make(chan struct{})
		start(t, broker, turn.Config{Component: "head"}, func(ctx context.Context, a *turn.Attempt) error {
			if _, err := a.Input.Next(ctx); err != nil {
				return err
			}

			<-enough

			return nil
		})

		source := start(t, broker, turn.Config{Component: "source", To: []string{"head"}},
			func(ctx context.Context, a *turn.Attempt) error {
				for range chunks {
					if err := a.Output.Send(ctx, []byte("x")); err != nil {
						return err
					}

					sent.Add(1)
				}

				return nil
			})

		w, err := source.store.OpenWriter(t.Context(), stream.WriterConfig{
			Session: sessionID, Info: stream.Info{Stream: "t1"},
		})
		if err != nil {
			t.Fatal(err)
		}

		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}

		r := turn.Record{ID: "t1", Session: sessionID, Component: "source", Root: "t1"}
		if err := turn.Post(t.Context(), source.bus, r, nil); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()

		if n := sent.Load(); n != 1000 {
			t.Errorf("%d chunks were sent before they were read", n)
		}

		close(enough)

		f, err := source.store.Follow(t.Context(), stream.FollowConfig{Session: sessionID, Targets: []string{"head"}})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()

		for {
			event, err := f.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			if end := event.Event.End; event.Event.Kind == stream.KindEnd {
				if got := fmt.Sprint(end.State, sent.Load()); got != fmt.Sprint(bus.Completed, chunks) {
					t.Errorf("ended as %s", got)
				}

				return
			}
		}
	})
}
