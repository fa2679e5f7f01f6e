package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// OpBury names [bus.DeadLetters].Bury for [FaultyBus.FailNext].
const OpBury Op = "bury"

// Bury implements [bus.DeadLetters].
func (b *FaultyBus) Bury(ctx context.Context, d *bus.DeadLetter) error {
	_, err := store1(b, OpBury, func() (struct{}, error) { return struct{}{}, b.Bus.Bury(ctx, d) })

	return err
}

func deadCases() []promise {
	return []promise{
		{name: "dead/every field comes back", run: deadFields},
		{name: "dead/a letter is buried once", run: buriedOnce, faults: true},
		{name: "dead/one letter buried by many at once", run: buriedByMany, faults: true},
		{name: "dead/in the order they were buried", run: deadInOrder, faults: true},
		{name: "dead/letters of other mailboxes are others", run: deadApart},
		{name: "dead/what was dropped is gone", run: deadDropped},
		{name: "dead/a letter is found by its names and place", run: deadFound},
		{name: "dead/a forged letter reaches none", run: deadForged},
		{name: "dead/a listing may be left", run: deadLeft},
		{name: "dead/too large", run: deadTooLarge},
		{name: "dead/hostile ids", run: deadHostile},
	}
}

// bury repeats while the outcome is unknown.
func bury(ctx context.Context, b bus.Bus, d *bus.DeadLetter) error {
	for {
		err := b.Bury(ctx, d)
		if !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy) {
			return err
		}

		if !pause(ctx) {
			return fmt.Errorf("gave up: %w", err)
		}
	}
}

func mustBury(t *testing.T, b bus.Bus, d *bus.DeadLetter) {
	t.Helper()

	if err := bury(within(t), b, d); err != nil {
		t.Fatal(err)
	}
}

// dead lists the dead letters of a component.
func dead(t *testing.T, b bus.Bus, component string) []*bus.DeadLetter {
	t.Helper()

	var list []*bus.DeadLetter

	for d, err := range b.Dead(within(t), component) {
		if err != nil {
			t.Fatal(err)
		}

		list = append(list, d)
	}

	return list
}

func wantDead(t *testing.T, b bus.Bus, component string, want ...string) []*bus.DeadLetter {
	t.Helper()

	list := dead(t, b, component)
	got := make([]string, len(list))

	for i, d := range list {
		got[i] = d.ID
	}

	same(t, "dead letters of "+component, want, got)

	return list
}

func deadLetter(component, session string, n int) *bus.DeadLetter {
	return &bus.DeadLetter{Letter: *letter(component, session, n), Reason: fmt.Sprint("reason ", n)}
}

func deadFields(t *testing.T, s *suite) {
	component := newID("c")
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.FixedZone("", 3600))
	want := &bus.DeadLetter{
		Letter: bus.Letter{
			ID: newID("turn"), Component: component, Session: newID("s"), Deliveries: 7,
			Body:  []byte("{\"a\": \"naïve\r\n\x00\xff\"}"),
			Trace: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
		Reason: "naïve\r\nreason",
		At:     at,
		Attempts: []bus.DeadAttempt{
			{Attempt: 1, Instance: "one", Reason: "first\n", At: at.Add(-time.Hour)}, {Reason: "second", At: at},
		},
		Input: []byte("\x00\xffinput"), InputType: bus.Audio, Truncated: true,
	}
	sent := *want
	sent.Body, sent.Input = []byte(string(want.Body)), []byte(string(want.Input))
	mustBury(t, s.open(t), &sent)
	copy(sent.Body, "XXXX")
	copy(sent.Input, "XXXX")

	got := wantDead(t, s.open(t), component, want.ID)[0]
	if got.Position == (bus.Position{}) {
		t.Error("a dead letter without a position")
	}

	if name, offset := got.At.Zone(); name != "UTC" || offset != 0 {
		t.Errorf("time in zone %s", name)
	}

	want.Position = got.Position
	want.At = at.UTC()
	want.Attempts = []bus.DeadAttempt{
		{Attempt: 1, Instance: "one", Reason: "first\n", At: at.Add(-time.Hour).UTC()}, {Reason: "second", At: at.UTC()},
	}
	same(t, "dead letter", want, got)
}

func buriedOnce(t *testing.T, s *suite) {
	b, component, session := s.open(t), newID("c"), newID("s")
	first := deadLetter(component, session, 0)
	mustBury(t, b, first)

	again := deadLetter(component, session, 0)
	again.Reason = "another reason"
	mustBury(t, s.open(t), again)

	if d := wantDead(t, b, component, first.ID)[0]; d.Reason != first.Reason {
		t.Errorf("the reason became %q", d.Reason)
	}
}

func buriedByMany(t *testing.T, s *suite) {
	const many, letters = 4, 10

	component, session := newID("c"), newID("s")

	var burying sync.WaitGroup

	for range many {
		b := s.open(t)

		burying.Go(func() {
			for n := range letters {
				if err := bury(t.Context(), b, deadLetter(component, session, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}

	burying.Wait()

	if list := dead(t, s.open(t), component); len(list) != letters {
		t.Errorf("%d entries for %d letters", len(list), letters)
	}
}

func deadInOrder(t *testing.T, s *suite) {
	const letters = 20

	b, component := s.open(t), newID("c")

	want := make([]string, 0, letters)

	for n := range letters {
		d := deadLetter(component, newID("s"), n)
		want = append(want, d.ID)
		mustBury(t, b, d)
	}

	wantDead(t, s.open(t), component, want...)
}

func deadApart(t *testing.T, s *suite) {
	b := s.open(t)
	one, session := newID("c"), newID("s")
	two := one + "x"

	mustBury(t, b, deadLetter(one, session, 0))
	mustBury(t, b, deadLetter(two, session, 0))
	mustBury(t, b, deadLetter(one, newID("s"), 0))

	wantDead(t, b, one, "turn-0", "turn-0")
	wantDead(t, b, two, "turn-0")
	wantDead(t, b, newID("none"))

	found := map[string]int{}
	for _, d := range dead(t, b, "") {
		found[d.Component]++
	}

	if found[one] != 2 || found[two] != 1 {
		t.Errorf("the listing of all components holds %d and %d, want 2 and 1", found[one], found[two])
	}
}

func deadDropped(t *testing.T, s *suite) {
	b, component, session := s.open(t), newID("c"), newID("s")
	mustBury(t, b, deadLetter(component, session, 0))
	mustBury(t, b, deadLetter(component, session, 1))

	first := wantDead(t, b, component, "turn-0", "turn-1")[0]

	for range 2 {
		if err := b.Drop(t.Context(), first); err != nil {
			t.Errorf("drop: %v", err)
		}
	}

	wantDead(t, s.open(t), component, "turn-1")
	mustBury(t, b, deadLetter(component, session, 0))

	if err := b.Drop(t.Context(), first); err != nil {
		t.Errorf("drop: %v", err)
	}

	wantDead(t, b, component, "turn-1", "turn-0") // what was dropped is not what was buried again
}

func deadFound(t *testing.T, s *suite) {
	b, component, session := s.open(t), newID("c"), newID("s")

	for n := range 3 {
		d := deadLetter(component, session, n)
		d.Input, d.At = noise(n), time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
		mustBury(t, b, d)
	}

	for _, d := range dead(t, b, component) {
		named := bus.Letter{ID: d.ID, Component: d.Component, Session: d.Session, Position: d.Position, Body: []byte("mine")}
		got := must[*bus.DeadLetter](t)(s.open(t).Buried(t.Context(), &named))
		same(t, d.ID, d, got)

		if err := b.Drop(t.Context(), got); err != nil {
			t.Errorf("drop: %v", err)
		}

		_, err := b.Buried(t.Context(), &named)
		wantErr(t, "get what was dropped", err, bus.ErrNotFound)
	}
}

// deadForged takes each letter for one of another turn, session or component, and for each one at another place.
func deadForged(t *testing.T, s *suite) {
	b, component, session := s.open(t), newID("c"), newID("s")
	ctx := within(t)

	for _, d := range []*bus.DeadLetter{
		deadLetter(component, session, 0), deadLetter(component, session, 1),
		deadLetter(component, session+"x", 0), deadLetter(component+"x", session, 0),
	} {
		mustBury(t, b, d)
	}

	before := append(dead(t, b, component), dead(t, b, component+"x")...)

	for i, d := range before {
		for j, other := range before {
			if i == j {
				continue
			}

			forged := *d
			forged.Position = other.Position

			_, err := b.Buried(ctx, &forged.Letter)
			wantErr(t, "get "+d.ID+" at another's place", err, bus.ErrNotFound)

			if err := b.Drop(ctx, &forged); err != nil {
				t.Errorf("drop %s at another's place: %v", d.ID, err)
			}
		}
	}

	same(t, "dead letters", before, append(dead(t, b, component), dead(t, b, component+"x")...))
}

func deadLeft(t *testing.T, s *suite) {
	b, component := s.open(t), newID("c")
	mustBury(t, b, deadLetter(component, "s", 0))
	mustBury(t, b, deadLetter(component, "s", 1))

	for d, err := range b.Dead(t.Context(), component) {
		if err != nil || d.ID != "turn-0" {
			t.Errorf("first %+v, %v", d, err)
		}

		break
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	for d, err := range b.Dead(ctx, component) {
		if err == nil {
			t.Errorf("%s was listed after the context ended", d.ID)
		}
	}
}

func deadTooLarge(t *testing.T, s *suite) {
	b, component := s.open(t), newID("c")
	d := deadLetter(component, newID("s"), 0)

	d.Input = noise(b.Info().MaxBody + 1)
	wantErr(t, "bury", b.Bury(t.Context(), d), bus.ErrTooLarge)

	d.Input = noise(b.Info().MaxBody / 2)
	mustBury(t, b, d)

	if got := wantDead(t, b, component, d.ID)[0]; !bytes.Equal(got.Input, d.Input) {
		t.Error("half of the greatest size came back as something else")
	}
}

func deadHostile(t *testing.T, s *suite) {
	b := s.open(t)
	ctx := within(t)

	for _, bad := range badIDs() {
		for what, d := range map[string]*bus.DeadLetter{
			"turn":      {Letter: bus.Letter{ID: bad, Component: "good", Session: "good", Position: bus.Position{Minor: 1}}},
			"component": {Letter: bus.Letter{ID: "good", Component: bad, Session: "good", Position: bus.Position{Minor: 1}}},
			"session":   {Letter: bus.Letter{ID: "good", Component: "good", Session: bad, Position: bus.Position{Minor: 1}}},
		} {
			wantErr(t, fmt.Sprintf("bury, %s %.20q", what, bad), b.Bury(ctx, d), bus.ErrInvalid)
			wantErr(t, fmt.Sprintf("drop, %s %.20q", what, bad), b.Drop(ctx, d), bus.ErrInvalid)

			_, err := b.Buried(ctx, &d.Letter)
			wantErr(t, fmt.Sprintf("get, %s %.20q", what, bad), err, bus.ErrInvalid)
		}

		if bad != "" {
			wantErr(t, fmt.Sprintf("list %.20q", bad), deadErr(ctx, b, bad), bus.ErrInvalid)
		}
	}

	never := deadLetter("good", "good", 0)
	wantErr(t, "drop what was never listed", b.Drop(ctx, never), bus.ErrInvalid)

	_, err := b.Buried(ctx, &never.Letter)
	wantErr(t, "get what was never listed", err, bus.ErrInvalid)
}

// deadErr is the error of a listing.
func deadErr(ctx context.Context, b bus.Bus, component string) error {
	for _, err := range b.Dead(ctx, component) {
		return err
	}

	return nil
}
