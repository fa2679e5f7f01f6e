package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
)

const day = 24 * time.Hour

// kept returns what is there of a session: its record, and what its component keeps.
func kept(t *testing.T, s *session.Store) (record, state bool) {
	t.Helper()

	var value string

	check(t, s.State("s", "llm").Load(t.Context(), &value))

	_, err := s.Get(t.Context(), "s")
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		t.Fatal(err)
	}

	return err == nil, value == "kept"
}

// wantKept checks that all of a session is there, or nothing.
func wantKept(t *testing.T, s *session.Store, want bool) {
	t.Helper()

	if record, state := kept(t, s); record != want || state != want {
		t.Errorf("its record is there: %v, its state: %v; want %v", record, state, want)
	}
}

// A session and the state in it last while it is used, and no longer than the bus keeps its streams, unless it is said
// how long.
func TestASessionExpires(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name           string
		age, ttl, want time.Duration
	}{
		{"as the bus keeps streams", 0, 0, day},
		{"as it is set to", 7 * day, 0, 7 * day},
		{"shorter", 0, time.Hour, time.Hour},
		{"longer", 0, 30 * day, 30 * day},
		{"very short", 0, 1500 * time.Millisecond, 1500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, membus.New(membus.Config{MaxAge: c.age}), session.Config{TTL: c.ttl})
				check(t, s.Touch(t.Context(), "s"))
				check(t, s.State("s", "llm").Save(t.Context(), "kept"))

				for range 20 {
					<-time.After(c.want / 2)
					check(t, s.Touch(t.Context(), "s"))
				}

				<-time.After(c.want)
				wantKept(t, s, true)

				<-time.After(c.want/5 + time.Second)
				wantKept(t, s, false)
			})
		})
	}
}

// Where the bus keeps streams for ever, a session lasts until it is ended.
func TestASessionLastsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, membus.New(membus.Config{MaxAge: -1}), session.Config{})
		check(t, s.Touch(t.Context(), "s"))
		check(t, s.State("s", "llm").Save(t.Context(), "kept"))
		<-time.After(1000 * day)
		wantKept(t, s, true)
	})
}

// Who has loaded a state can save it, however often its session is renewed meanwhile; nobody can who was overtaken.
func TestRenewingIsNoConflict(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		ctx, s := t.Context(), newStore(t, open(), session.Config{})
		check(t, s.State("s", "llm").Save(ctx, "first"))

		turn, late := s.State("s", "llm"), s.State("s", "llm")

		var there string

		check(t, errors.Join(turn.Load(ctx, &there), late.Load(ctx, &there)))

		for range 3 { // each through another edge, as behind a load balancer
			check(t, newStore(t, open(), session.Config{}).Touch(ctx, "s"))
			check(t, newStore(t, open(), session.Config{}).Renew(ctx, "s"))
		}

		check(t, turn.Save(ctx, "second"))
		check(t, newStore(t, open(), session.Config{}).Renew(ctx, "s"))
		check(t, turn.Save(ctx, "third"))

		if err := late.Save(ctx, "late"); !errors.Is(err, bus.ErrConflict) {
			t.Errorf("a save on top of what was replaced: %v", err)
		}
	})
}

// What is only saved is in use: its session is there for as long as the state is, and ends with it.
func TestSavingRenewsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, membus.New(membus.Config{}), session.Config{TTL: time.Hour})
		state := s.State("s", "llm")

		for range 10 {
			check(t, state.Save(t.Context(), "kept"))
			<-time.After(50 * time.Minute)
			wantKept(t, s, true)
		}

		for range 10 { // the state is among what a post renews
			check(t, s.Touch(t.Context(), "s"))
			<-time.After(50 * time.Minute)
			wantKept(t, s, true)
		}
	})
}

// What is under way renews what is there, and begins nothing anew.
func TestRenewBeginsNothing(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		ctx, s := t.Context(), newStore(t, open(), session.Config{})
		check(t, s.Renew(ctx, "s"))

		if _, err := s.Get(ctx, "s"); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("a session that is not there was renewed: %v", err)
		}

		check(t, s.Touch(ctx, "s"))
		check(t, s.End(ctx, "s", "enough"))
		check(t, s.Renew(ctx, "s"))

		if there, err := s.Get(ctx, "s"); err != nil || there.State != session.Ended {
			t.Errorf("a session that has ended was renewed: %+v, %v", there, err)
		}
	})
}

// A save whose outcome is unknown is stored once, and is no conflict with itself.
func TestASaveOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		b := bustest.Faulty(open(), bustest.FaultConfig{})
		ctx, s := t.Context(), newStore(t, b, session.Config{})
		state := s.State("s", "llm")
		check(t, state.Save(ctx, 0))

		for n, stored := range []bool{true, false, true, false} {
			b.FailNext(bustest.OpSet, bus.ErrUnknown, stored)

			if n > 1 { // also what follows fails
				b.FailNext(bustest.OpSet, bus.ErrUnknown, true)
				b.FailNext(bustest.OpGet, bus.ErrUnknown, false)
			}

			if err := state.Save(ctx, n+1); err != nil {
				t.Errorf("save %d: %v", n+1, err)
			}

			var got int
			if err := s.State("s", "llm").Load(ctx, &got); err != nil || got != n+1 {
				t.Errorf("saved %d, there is %d: %v", n+1, got, err)
			}
		}
	})
}
