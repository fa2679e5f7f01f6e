package framework_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// accepted is what users and handlers may say of a turn that travels with it.
type accepted struct {
	trace    map[string]string
	kind     bus.DataType
	meta     map[string]string
	target   string // of a branch; empty: none
	chunks   int
	result   error
	cancel   bool
	reason   string // of the cancel
	outdated bool   // the cancel is stored by a program that knows no bounds
}

// long draws texts of all lengths, most of them of characters that take more room in a header.
func long(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		piece := rapid.SampledFrom([]string{"because ", "weil äöü ", "だから", "\r\n\x00", "100 % "}).Draw(t, "piece")
		n := rapid.SampledFrom([]int{0, 20, stream.MaxReason, 11 << 10, 40 << 10}).Draw(t, "bytes")

		return strings.Repeat(piece, min(n, most)/len(piece))
	})
}

func drawAccepted() *rapid.Generator[accepted] {
	return rapid.Custom(func(t *rapid.T) accepted {
		a := accepted{
			kind: bus.DataType(rapid.SampledFrom(
				[]string{"", "text", strings.Repeat("ü", 64), strings.Repeat("x", 100<<10)}).Draw(t, "type")),
			meta:   rapid.MapOfN(long(100), long(40<<10), 0, 4).Draw(t, "meta"),
			target: rapid.SampledFrom([]string{"", "speak", "no component", strings.Repeat("x", 300)}).Draw(t, "target"),
			chunks: rapid.SampledFrom([]int{0, 1, 3000}).Draw(t, "chunks"),
			cancel: rapid.Bool().Draw(t, "cancel"), reason: long(40<<10).Draw(t, "reason"),
			outdated: rapid.Bool().Draw(t, "outdated"),
			trace: map[string]string{
				"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
				"tracestate":  "a=" + strings.Repeat("x", rapid.SampledFrom([]int{1, 510, 511, 30 << 10}).Draw(t, "state")),
			},
		}
		if text := long(40<<10).Draw(t, "error"); text != "" {
			a.result = framework.Terminate(errors.New(text))
		}

		return a
	})
}

// handle does what the case says.
func (a accepted) handle(running chan<- struct{}) framework.Handler {
	return func(ctx context.Context, t *framework.Turn) error {
		for key, value := range a.meta {
			t.Output.SetMeta(key, value)
		}

		for range a.chunks {
			if err := t.Output.Send(ctx, []byte("x")); err != nil {
				return err
			}
		}

		if a.target != "" {
			if _, err := t.OpenOutput(ctx, a.target); err != nil && !errors.Is(err, bus.ErrInvalid) {
				return err
			}
		}

		if a.cancel {
			running <- struct{}{}
			<-ctx.Done()

			return ctx.Err()
		}

		return a.result
	}
}

// Whatever is accepted of users and handlers, a turn's streams can be ended with it: what can't is refused at the door, or
// clipped.
func TestWhatIsAcceptedCanBeStoredAtTheEnd(t *testing.T) {
	t.Parallel()

	const cases = 60

	b, err := natsbus.Open(t.Context(), natsbus.Config{InProcess: embeddedtest.RunInProcess(t)})
	if err != nil {
		t.Fatal(err)
	}

	client, err := framework.Connect(t.Context(), framework.Config{Bus: b})
	if err != nil {
		t.Fatal(err)
	}

	store := stream.NewStore(b, b.Info(), stream.Config{})

	t.Cleanup(func() {
		store.Close()

		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(client.Close(ctx), b.Close(ctx)); err != nil {
			t.Error(err)
		}
	})

	gen := drawAccepted()
	for i := range cases {
		a := gen.Example(i)
		if err := a.run(t, b, client, store, fmt.Sprint("c", i)); err != nil {
			t.Fatalf("case %d: %v", i, err) // its number is its seed
		}
	}
}

func (a accepted) run(t *testing.T, b bus.Bus, client *framework.Client, store *stream.Store, name string) error {
	t.Helper()

	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("the case took too long"))
	defer cancel()

	serving, stop := context.WithCancel(ctx)
	running, ended := make(chan struct{}, 1), make(chan error, 1)

	go func() {
		ended <- framework.Run(serving, framework.Service{Name: name, Handler: a.handle(running)},
			framework.Config{Bus: b, Drain: -1})
	}()

	defer func() { stop(); <-ended }()

	post := framework.Post{Session: "s", Component: name, Type: a.kind, Trace: a.trace}

	ref, err := client.Post(ctx, post, []byte("hello"))
	if errors.Is(err, bus.ErrInvalid) && len(a.kind) > 128 {
		return nil
	}

	if err != nil {
		return fmt.Errorf("post: %w", err)
	}

	if a.cancel {
		<-running

		if err := a.end(ctx, client, store, ref); err != nil {
			return err
		}
	}

	f, err := client.Follow(ctx, stream.FollowConfig{Session: "s", Turn: ref.Turn})
	if err != nil {
		return err
	}
	defer f.Close()

	for {
		ev, err := f.Next(ctx)
		if err != nil || ev.Event.Kind == stream.KindEnd {
			return err
		}
	}
}

// end cancels the turn, after a refusal with less.
func (a accepted) end(ctx context.Context, client *framework.Client, store *stream.Store, ref framework.Ref) error {
	if a.outdated {
		_, err := session.Post(ctx, store, ref.Session, session.Cancel{Root: ref.Turn, Reason: a.reason})

		return err
	}

	err := client.Cancel(ctx, ref, a.reason)
	if len(a.reason) <= stream.MaxReason {
		return err
	}

	if !errors.Is(err, bus.ErrInvalid) {
		return fmt.Errorf("a reason of %d bytes: %w", len(a.reason), err)
	}

	return client.Cancel(ctx, ref, a.reason[:100])
}
