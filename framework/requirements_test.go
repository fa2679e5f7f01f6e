package framework_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// These are the test programs of the requirements document. docs/requirements.md links each point of it to its test.

// buses opens the bus of one process and the distributed ones; the document asks that both work identically.
func buses(t *testing.T) map[string]bus.Bus {
	t.Helper()

	server := embeddedtest.Run(t)

	jetstream, err := natsbus.Open(t.Context(), natsbus.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}

	all := map[string]bus.Bus{"simple": membus.New(membus.Config{}), "distributed": jetstream}

	t.Cleanup(func() {
		for name, b := range all {
			if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("close %s: %v", name, err)
			}
		}
	})

	return all
}

// TestStreamingCompatibility is test_streaming_compatibility: the same calls on both buses, with the same result.
func TestStreamingCompatibility(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ctx := t.Context()
			manager := stream.NewStore(b, b.Info(), stream.Config{})
			defer manager.Close()

			// create_stream(session_id="test-session", component_source="test-input", component_target="test-output")
			w, err := manager.OpenWriter(ctx, stream.WriterConfig{
				Session: "test-session",
				Info:    stream.Info{Stream: "stream-1", Component: "test-input", Target: "test-output"},
			})
			if err != nil {
				t.Fatal(err)
			}

			// send_chunk(stream_id, "test data", is_final=True)
			if err := errors.Join(w.Send(ctx, []byte("test data")), w.Close(ctx)); err != nil {
				t.Fatal(err)
			}

			// async for chunk in receive_stream(stream_id): data == "test data", is_final == True
			r, err := manager.OpenReader(ctx, w.ID(), bus.Cursor{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()

			chunk, err := r.Next(ctx)
			if err != nil || chunk.Kind != stream.KindChunk || string(chunk.Chunk.Data) != "test data" {
				t.Errorf("first event %+v, %v; want the chunk", chunk, err)
			}

			end, err := r.Next(ctx)
			if err != nil || end.Kind != stream.KindEnd || end.End.State != bus.Completed {
				t.Errorf("second event %+v, %v; want the end", end, err)
			}

			if _, err := r.Next(ctx); !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: %v, want io.EOF", err)
			}
		})
	}
}

// TestDistributedStreamingWorkflow is test_distributed_streaming_workflow: input → llm → output, each with a
// connection of its own and nothing else in common.
func TestDistributedStreamingWorkflow(t *testing.T) {
	t.Parallel()

	const (
		session = "integration-test-session"
		said    = "Hello, streaming world!"
	)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	cfg := framework.Config{URL: embeddedtest.Run(t).URL()}

	// llm_comp: streaming_input false, so it accumulates; streaming_output true, so it answers word by word.
	llm := framework.Service{Name: "llm", Handler: func(ctx context.Context, turn *framework.Turn) error {
		accumulated, err := turn.Input.ReadAll(ctx)
		if err != nil {
			return err
		}

		for word := range strings.SplitAfterSeq("You said: "+string(accumulated), " ") {
			if err := turn.Output.Send(ctx, []byte(word)); err != nil {
				return err
			}
		}

		return nil
	}}
	done := make(chan error, 1)

	go func() { done <- framework.Run(ctx, llm, cfg) }()

	// output_comp follows the session before anything was said.
	output := connect(t, cfg)

	follower, err := output.Follow(ctx, stream.FollowConfig{Session: session})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()

	// input_comp streams what the user says, in pieces.
	w, _, err := connect(t, cfg).Open(ctx, framework.Post{Session: session, Component: "llm"})
	if err != nil {
		t.Fatal(err)
	}

	for piece := range strings.SplitAfterSeq(said, " ") {
		if err := w.Send(ctx, []byte(piece)); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}

	if got := text(t, follower); !strings.Contains(got, said) {
		t.Errorf("the output %q does not contain %q", got, said)
	}

	cancel()

	if err := <-done; err != nil {
		t.Errorf("the llm component ended: %v", err)
	}
}

func connect(t *testing.T, cfg framework.Config) *framework.Client {
	t.Helper()

	c, err := framework.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close client: %v", err)
		}
	})

	return c
}

// text returns what the next answer of the session says in the end.
func text(t *testing.T, f *stream.Follower) string {
	t.Helper()

	var chunks []string

	for {
		e, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		switch e.Event.Kind {
		case stream.KindChunk:
			chunks = append(chunks, string(e.Event.Chunk.Data))
		case stream.KindSuperseded:
			chunks = chunks[:e.Event.From]
		case stream.KindEnd:
			return strings.Join(chunks, "")
		case stream.KindOpened:
		}
	}
}
