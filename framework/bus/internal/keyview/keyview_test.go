package keyview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// recorded returns a view and what it has yielded since the last call of the function.
func recorded() (*View, func() []string) {
	var got []string

	v := New(func(e bus.KVEvent) error {
		got = append(got, fmt.Sprintf("%s%s %d", map[bus.KVEventKind]string{
			bus.KVSet: "+", bus.KVGone: "-", bus.KVSynced: "synced",
		}[e.Kind], e.Entry.Key, e.Entry.Revision))

		return nil
	})

	return v, func() []string { events := got; got = nil; slices.Sort(events); return events }
}

func do(t *testing.T, errs ...error) {
	t.Helper()

	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func set(v *View, key string, revision uint64) error {
	return v.Set(bus.KVEntry{Key: key, Revision: revision})
}

func TestViewYieldsWhatIsNews(t *testing.T) {
	t.Parallel()

	v, events := recorded()
	want := func(events []string, want ...string) {
		t.Helper()

		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}

	v.Begin(3)
	do(t, set(v, "a", 1), set(v, "b", 3), v.End(3))
	want(events(), "+a 1", "+b 3", "synced 0")

	do(t, set(v, "a", 1), v.Gone("unknown", 4), set(v, "a", 5))
	want(events(), "+a 5")

	// A second round: a is as it was, b is gone.
	v.Begin(6)
	do(t, set(v, "a", 5), v.End(6))
	want(events(), "-b 6")

	// What the broker knew was greater before: lower revisions are news.
	v.Begin(2)
	do(t, set(v, "a", 1), v.End(2))
	want(events(), "+a 1")
}

func TestEventsEndsWithTheCaller(t *testing.T) {
	t.Parallel()

	errBroken := errors.New("broken")
	run := func(yield func(bus.KVEvent) error) error {
		for {
			if err := yield(bus.KVEvent{Kind: bus.KVSet}); err != nil {
				return err
			}
		}
	}

	for _, err := range Events(t.Context(), bus.Registry, "k", run) {
		if err != nil {
			t.Errorf("a caller that has enough: %v", err)
		}

		break
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	for _, err := range Events(ctx, bus.Registry, "k", run) {
		if err != nil {
			t.Errorf("after the context's end: %v", err)
		}

		cancel()
	}

	failed := 0

	for _, err := range Events(t.Context(), bus.Registry, "k", func(func(bus.KVEvent) error) error { return errBroken }) {
		failed++

		if !errors.Is(err, errBroken) || err.Error() != "watch registry k: broken" {
			t.Errorf("a run that fails: %v", err)
		}
	}

	if failed != 1 {
		t.Errorf("%d errors, want 1", failed)
	}
}
