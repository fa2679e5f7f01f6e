package mailbox

import (
	"errors"
	"slices"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// late is a mailbox with three letters whose scheduled entry was delivered more than once.
func late(t *testing.T) (*model, Mailbox, Entry) {
	t.Helper()

	m := newModel()
	box := mailboxOf(m.apply)

	for _, id := range []string{"a", "b", "c"} {
		if err := box.Post(t.Context(), &bus.Letter{ID: id}); err != nil {
			t.Fatal(err)
		}
	}

	e, ok := m.deliverable()
	if !ok {
		t.Fatal("nobody was called")
	}

	return m, box, e
}

func claimed(t *testing.T, box Mailbox, e Entry, n int) *Claim {
	t.Helper()

	c, err := box.Open(t.Context(), e, n)
	if err != nil || c == nil {
		t.Fatalf("delivery %d: %v, %v", n, c, err)
	}

	return c
}

// next expects a claim's next letter and how often it was delivered.
func next(t *testing.T, c *Claim, id string, deliveries int) *bus.Letter {
	t.Helper()

	l, err := c.Next(t.Context(), false)
	if err != nil || l == nil || l.ID != id || l.Deliveries != deliveries {
		t.Fatalf("next letter is %+v, %v, want %s delivered %d times", l, err, id, deliveries)
	}

	return l
}

func done(t *testing.T, c *Claim, l *bus.Letter) {
	t.Helper()

	if err := c.Done(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// TestLateClaimPassesNothingOn lets a worker that lost its lease pass the mailbox on after its successor marked the
// entry. The entry must stay: it still calls a worker should the successor die.
func TestLateClaimPassesNothingOn(t *testing.T) {
	t.Parallel()

	m, box, e := late(t)
	old, successor := claimed(t, box, e, 1), claimed(t, box, e, 2)

	first := next(t, old, "a", 1)
	done(t, successor, next(t, successor, "a", 2))
	next(t, successor, "b", 1) // marks the entry
	done(t, old, first)

	if l, err := old.Next(t.Context(), true); !errors.Is(err, bus.ErrLost) {
		t.Errorf("the late worker got %+v, %v, want %v", l, err, bus.ErrLost)
	}

	if err := old.Settle(t.Context()); err != nil {
		t.Error(err)
	}

	if got := m.logs[Register][0]; got != e {
		t.Errorf("the register begins with %+v, want what calls a worker, %+v", got, e)
	}

	third := claimed(t, box, e, 3)
	next(t, third, "b", 2)
}

// TestLateClaimTakesNoOthersMark lets a later worker mark the entry while an earlier one still works, or begins.
func TestLateClaimTakesNoOthersMark(t *testing.T) {
	t.Parallel()

	_, box, e := late(t)
	second, third := claimed(t, box, e, 2), claimed(t, box, e, 3)

	first := next(t, second, "a", 2)
	done(t, third, next(t, third, "a", 3))
	next(t, third, "b", 1)
	done(t, second, first)

	if l, err := second.Next(t.Context(), false); !errors.Is(err, bus.ErrLost) {
		t.Errorf("the late worker got %+v, %v, want %v", l, err, bus.ErrLost)
	}

	if c, err := box.Open(t.Context(), e, 2); !errors.Is(err, bus.ErrLost) {
		t.Errorf("a late delivery opened %+v, %v, want %v", c, err, bus.ErrLost)
	}
}

// TestLateClaimKeepsAnotherEntrysMark lets a worker that lost its lease pass the mailbox on after its successor did and
// the entry that called the next worker was marked. That entry must stay, although the mark lies on top of it.
func TestLateClaimKeepsAnotherEntrysMark(t *testing.T) {
	t.Parallel()

	m, box, e := late(t)
	old, successor := claimed(t, box, e, 1), claimed(t, box, e, 2)

	first := next(t, old, "a", 1)
	done(t, successor, next(t, successor, "a", 2))

	if l, err := successor.Next(t.Context(), true); l != nil || err != nil {
		t.Fatalf("passed the mailbox on: %+v, %v", l, err)
	}

	passed := last(m.logs[Register])
	marking := claimed(t, box, passed, 2)
	done(t, marking, next(t, marking, "b", 2))
	next(t, marking, "c", 1) // marks the entry
	done(t, old, first)

	if l, err := old.Next(t.Context(), true); !errors.Is(err, bus.ErrLost) {
		t.Errorf("the late worker got %+v, %v, want %v", l, err, bus.ErrLost)
	}

	if err := old.Settle(t.Context()); err != nil {
		t.Error(err)
	}

	if got := m.logs[Register]; !slices.ContainsFunc(got, func(e Entry) bool { return e.Seq == passed.Seq }) {
		t.Errorf("what calls a worker is gone from %+v", got)
	}
}
