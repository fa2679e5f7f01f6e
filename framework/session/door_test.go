package session_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
)

// texts are short and long, of few and of many bytes as JSON, and some are no text.
func texts(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"a", "é", "<", "\x00", "\xff", "\u2028", "."}).Draw(t, "unit")

		return strings.Repeat(unit, rapid.IntRange(0, most).Draw(t, "times"))
	})
}

// What is accepted of a session can be stored to its end: it is renewed, changed, gets components' state and is ended.
// What is refused is refused at once, as invalid or as too large, and changes nothing.
func TestWhatIsAcceptedCanBeKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := membus.New(membus.Config{MaxBody: 4 << 10})
		ctx, s := t.Context(), newStore(t, b, session.Config{})
		fresh := session.Session{
			ID:       "s",
			Metadata: rapid.MapOfN(texts(20), texts(1000), 0, 4).Draw(rt, "metadata"),
			Graph: rapid.MapOfN(
				rapid.OneOf(rapid.StringMatching("[a-z_]{1,64}"), texts(70)),
				rapid.SliceOfN(rapid.StringMatching("[a-z]{1,65}"), 0, 9), 0, 3,
			).Draw(rt, "graph"),
		}

		made, err := s.Create(ctx, fresh)
		if err != nil {
			if _, there := s.Get(ctx, "s"); !errors.Is(there, bus.ErrNotFound) || !refused(err) {
				rt.Fatalf("refused: %v; there is: %v", err, there)
			}

			made, err = s.Create(ctx, session.Session{ID: "s"})
			must(rt, err)
		}

		changed, err := s.Update(ctx, "s", func(there *session.Session) error {
			there.Metadata = maps.Clone(there.Metadata)
			if there.Metadata == nil {
				there.Metadata = map[string]string{}
			}

			there.Metadata[rapid.StringN(0, 9, -1).Draw(rt, "name")] = texts(1000).Draw(rt, "value")

			return nil
		})
		if err != nil && !refused(err) {
			rt.Fatalf("update: %v", err)
		}

		there, getErr := s.Get(ctx, "s")
		must(rt, getErr)

		if err != nil {
			changed = made
		}

		if diff := cmp.Diff(changed, there, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("what was returned, and what is there:\n%s", diff)
		}

		for i := range 20 {
			must(rt, s.State("s", fmt.Sprintf("%s-%d", strings.Repeat("c", 60), i)).Save(ctx, i))
		}

		must(rt, newStore(t, b, session.Config{}).Touch(ctx, "s"))
		must(rt, s.End(ctx, "s", "enough"))
	})
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func refused(err error) bool {
	return errors.Is(err, bus.ErrInvalid) || errors.Is(err, bus.ErrTooLarge)
}

// A record that an earlier version let grow can be renewed, made smaller and ended.
func TestALargeRecordCanBeEnded(t *testing.T) {
	t.Parallel()

	small, large := membus.Config{MaxBody: 4 << 10}, 3<<10
	ctx, b := t.Context(), membus.New(small)
	s := newStore(t, b, session.Config{})

	_, err := b.Set(ctx, bus.Sessions, "_session._.s", fmt.Appendf(nil,
		`{"id":"s","state":"active","graph":{},"metadata":{"a":%q}}`, strings.Repeat("a", large)), 0, 0)
	check(t, err)
	check(t, s.Touch(ctx, "s"))

	change := func(name, value string) error {
		_, err := s.Update(ctx, "s", func(there *session.Session) error {
			there.Metadata[name] = value

			return nil
		})

		return err
	}

	if err := change("b", "more"); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("more of it: %v", err)
	}

	check(t, change("a", strings.Repeat("a", large-100)))
	check(t, s.End(ctx, "s", ""))
}

// A state that is too large leaves no trace.
func TestAStateThatIsTooLarge(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		b := open()
		ctx, s := t.Context(), newStore(t, b, session.Config{})

		if err := s.State("s", "llm").Save(ctx, strings.Repeat("x", b.Info().MaxBody)); !errors.Is(err, bus.ErrTooLarge) {
			t.Errorf("saved: %v", err)
		}

		if _, err := s.Get(ctx, "s"); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("a session was made for it: %v", err)
		}

		check(t, s.State("s", "llm").Save(ctx, strings.Repeat("x", b.Info().MaxBody-2)))
	})
}

// The longest names of everything can be used on every bus.
func TestTheLongestNames(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		ctx, b, long := t.Context(), open(), strings.Repeat("x", 64)

		for _, tenant := range []string{"", strings.Repeat("t", 24)} {
			s := newStore(t, b, session.Config{Tenant: tenant})

			_, err := s.Create(ctx, session.Session{ID: long, Graph: session.Chain(long, long[1:])})
			check(t, err)
			check(t, s.State(long, long).Save(ctx, 1))
			check(t, s.Renew(ctx, long))
			check(t, s.End(ctx, long, strings.Repeat("r", 100)))
		}

		s := newStore(t, b, session.Config{})
		for _, id := range []string{long + "x", "a b", "é", "_x", ""} {
			_, err := s.Create(ctx, session.Session{ID: id})
			for _, err := range []error{err, s.Touch(ctx, id), s.State(id, "llm").Save(ctx, 1), s.State("s", "a.b").Save(ctx, 1)} {
				if !errors.Is(err, bus.ErrInvalid) || !utf8.ValidString(err.Error()) {
					t.Errorf("id %q: %v", id, err)
				}
			}
		}
	})
}
