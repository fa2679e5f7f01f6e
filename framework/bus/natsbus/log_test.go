package natsbus

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func TestAppendLastRead(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	if e := must(b.Last(t.Context(), id))(t); e != nil {
		t.Fatalf("last of an empty log: %+v", e)
	}
	const n = 300
	last := fill(t, b, id, n)
	fill(t, b, testID(2), 5)
	got := must(b.Last(t.Context(), id))(t)
	if diff := cmp.Diff(last, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(bus.Links{}, "Last")); diff != "" {
		t.Errorf("last differs from what was appended:\n%s", diff)
	}
	for _, from := range []int{0, 1, 2, 15, 16, 17, 100, 255, 256, 257, 297, 298, 299, 300, 400} {
		seen := read(t, b, got, bus.Cursor{Attempt: 1, Index: uint64(from)})
		first := max(0, min(from, n)-1)
		if len(seen) != n-first || seen[0] != first || seen[len(seen)-1] != n-1 {
			t.Errorf("read from %d: got %d entries from %v", from, len(seen), seen[:min(3, len(seen))])
		}
		for i := range seen {
			if seen[i] != first+i {
				t.Fatalf("read from %d: entry %d is %d", from, i, seen[i])
			}
		}
	}
}

func TestAppendIsFenced(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	first := fill(t, b, id, 1)
	fill2 := must(b.Append(t.Context(), frame(id, 1, "b"), first))(t)
	if _, err := b.Append(t.Context(), frame(id, 1, "c"), first); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("append after an overtaken entry: %v, want %v", err, bus.ErrConflict)
	}
	if _, err := b.Append(t.Context(), frame(id, 0, "c"), nil); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("append to a log taken for empty: %v, want %v", err, bus.ErrConflict)
	}
	must(b.Append(t.Context(), frame(id, 2, "c"), fill2))(t)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	got := make(chan *bus.Entry, 10)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) { got <- e }))(t)
	last := fill(t, b, id, 3)
	for i := range 3 {
		e := <-got
		if e == nil || int(e.First) != i {
			t.Fatalf("entry %d: %+v", i, e)
		}
		if i == 2 {
			if diff := cmp.Diff(last, e, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(bus.Links{}, "Last")); diff != "" {
				t.Errorf("delivered entry differs:\n%s", diff)
			}
		}
	}
	stop()
	stop()
	must(b.Append(t.Context(), frame(id, 3, "x"), last))(t)
	if len(got) > 0 {
		t.Error("delivery after stop")
	}
}
