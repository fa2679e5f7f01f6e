package bustest

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// patience is after how long a case that waits for something says that it never happened.
const patience = 30 * time.Second

// suite is what the cases share.
type suite struct {
	Harness

	features Features
	faults   *FaultConfig
	begin    func(t *testing.T) Harness
}

// alone returns the suite with a broker of its own, for a case that disturbs whatever else uses its broker.
func (s *suite) alone(t *testing.T) *suite {
	t.Helper()

	own := *s
	own.Harness = s.begin(t)

	return &own
}

// faulty returns the suite with faults in everything it opens.
func (s *suite) faulty() *suite {
	f := *s
	f.faults = &FaultConfig{
		Stored: 0.05, Unstored: 0.05, Late: 0.03, Busy: 0.05,
		Drop: 0.05, Duplicate: 0.05, Reorder: 0.05, Delay: 0.05, Missed: 0.02,
	}

	return &f
}

// open connects one more process and closes it after the test.
func (s *suite) open(t *testing.T) bus.Bus {
	t.Helper()

	b := s.Open(t)
	if s.faults != nil {
		cfg := *s.faults
		cfg.Seed = mathrand.Uint64()
		t.Logf("faults of seed %d", cfg.Seed)

		b = Faulty(b, cfg)
	}

	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close: %v", err)
		}
	})

	return b
}

// kill ends a connection as the crash of its process does.
func (s *suite) kill(t *testing.T, b bus.Bus) {
	t.Helper()

	if f, ok := b.(*FaultyBus); ok {
		b = f.Unwrap()
	}

	if s.Kill != nil {
		s.Kill(t, b)

		return
	}

	if err := b.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// within returns a context that ends with the test or when patience does.
func within(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)

	return ctx
}

// newID returns an id that no other case uses.
func newID(prefix string) string { return prefix + "-" + rand.Text()[:12] }

func newStream() bus.StreamID {
	return bus.StreamID{Session: newID("session"), Stream: newID("stream")}
}

// must returns v after failing the test on an error.
func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()

	return func(v T, err error) T {
		t.Helper()

		if err != nil {
			t.Fatal(err)
		}

		return v
	}
}

func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()

	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// same fails the test when two values differ in more than nil and empty, and what is known of links without a look.
func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()

	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(bus.Links{}, "Last")); diff != "" {
		t.Errorf("%s (-want +got):\n%.4000s", what, diff)
	}
}

// receive returns what comes out of a channel, or fails the test when nothing does.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()

	timeout := time.NewTimer(patience)
	defer timeout.Stop()

	select {
	case v := <-from:
		return v
	case <-timeout.C:
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// skipTo receives until one satisfies wanted.
func skipTo[T any](t *testing.T, from <-chan T, wanted func(T) bool) {
	t.Helper()

	for done := false; !done; {
		done = wanted(receive(t, "the awaited one", from))
	}
}

// retryPause is how long a caller waits before it repeats what failed.
const retryPause = 2 * time.Millisecond

// pause waits before a repetition, and reports whether ctx goes on.
func pause(ctx context.Context) bool { return pauseFor(ctx, retryPause) }

// pauseFor waits, and reports whether ctx goes on.
func pauseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
