package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore returns a store on a bus.
func newStore(t *testing.T, b bus.Bus, cfg session.Config) *session.Store {
	t.Helper()

	streams := stream.NewStore(b, b.Info(), stream.Config{})
	t.Cleanup(streams.Close)

	return session.NewStore(b, streams, cfg)
}

// onEachBus runs a test on memory and on a NATS server; open returns one more connection.
func onEachBus(t *testing.T, test func(t *testing.T, open func() bus.Bus)) {
	t.Helper()

	t.Run("memory", func(t *testing.T) {
		t.Parallel()

		broker := membus.NewBroker(membus.Config{})
		test(t, func() bus.Bus { return broker.Open() })
	})

	t.Run("nats", func(t *testing.T) {
		t.Parallel()

		server := embeddedtest.RunInProcess(t)
		test(t, func() bus.Bus {
			b, err := natsbus.Open(t.Context(), natsbus.Config{InProcess: server})
			if err != nil {
				t.Fatal(err)
			}

			t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

			return b
		})
	})
}

func check(t *testing.T, err error) {
	t.Helper()

	if err != nil {
		t.Fatal(err)
	}
}

func TestTheLifeOfASession(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		b := open()
		ctx, s := t.Context(), newStore(t, b, session.Config{})
		made, err := s.Create(ctx, session.Session{ID: "s1", Metadata: map[string]string{"user": "ann"}})
		check(t, err)

		if !cmp.Equal(made.Graph, session.Chain("input", "llm", "output")) || made.State != session.Active {
			t.Errorf("made %+v", made)
		}

		if _, err := s.Create(ctx, session.Session{ID: "s1"}); !errors.Is(err, session.ErrExists) {
			t.Errorf("made twice: %v", err)
		}

		changed, err := s.Update(ctx, "s1", func(s *session.Session) error {
			s.Metadata["lang"] = "de"
			s.ID, s.Tenant, s.Created = "s2", "acme", time.Now().Add(time.Hour) // which are not for it to change

			return nil
		})
		check(t, err)

		there, err := s.Get(ctx, "s1")
		check(t, err)

		want := made
		want.Metadata = map[string]string{"user": "ann", "lang": "de"}
		want.Updated, want.Write = there.Updated, there.Write

		if diff := cmp.Diff([]session.Session{want, want}, []session.Session{changed, there}); diff != "" {
			t.Errorf("changed, and what is there (-want +got):\n%s", diff)
		}

		check(t, s.State("s1", "llm").Save(ctx, "remember"))

		served, err := subjects.ServedKey("s1", "llm")
		check(t, err)

		_, err = b.Set(ctx, bus.Sessions, served, []byte("instance"), 0, time.Minute)
		check(t, err)

		check(t, s.End(ctx, "s1", "enough"))

		if _, err := b.Get(ctx, bus.Sessions, served); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("who served the session is known after its end: %v", err)
		}

		kept := "nothing"
		check(t, s.State("s1", "llm").Load(ctx, &kept))

		if there, err = s.Get(ctx, "s1"); err != nil || there.State != session.Ended || kept != "nothing" {
			t.Errorf("after the end: %+v, %v, state %q", there, err, kept)
		}

		check(t, s.End(ctx, "s1", "again"))
		check(t, s.Touch(ctx, "s1"))

		if there, err = s.Get(ctx, "s1"); err != nil || there.State != session.Active {
			t.Errorf("begun anew: %+v, %v", there, err)
		}

		if err := s.End(ctx, "none", ""); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("the end of what isn't there: %v", err)
		}
	})
}

// A hundred writers change the state of one session at once; each change is there in the end.
func TestNoConcurrentUpdateIsLost(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		const writers, connections = 100, 4

		var stores []*session.Store
		for range connections {
			stores = append(stores, newStore(t, open(), session.Config{}))
		}

		var writing sync.WaitGroup

		for n := range writers {
			s := stores[n%connections]

			writing.Go(func() {
				err := session.Update(t.Context(), s.State("s", "llm"), func(all *[]int) error {
					*all = append(*all, n)

					return nil
				})
				_, also := s.Update(t.Context(), "s", func(s *session.Session) error {
					if s.Metadata == nil {
						s.Metadata = map[string]string{}
					}

					s.Metadata[fmt.Sprint(n)] = "was here"

					return nil
				})

				if err := errors.Join(err, also); err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			})
		}

		writing.Wait()

		var all []int

		check(t, stores[0].State("s", "llm").Load(t.Context(), &all))
		slices.Sort(all)

		if all = slices.Compact(all); len(all) != writers {
			t.Errorf("%d of %d changes of the state are there", len(all), writers)
		}

		if there, err := stores[1].Get(t.Context(), "s"); err != nil || len(there.Metadata) != writers {
			t.Errorf("%d of %d changes of the session are there: %v", len(there.Metadata), writers, err)
		}
	})
}

func ids(t *testing.T, s *session.Store, f session.Filter) []string {
	t.Helper()

	var ids []string
	for there, err := range s.List(t.Context(), f) {
		check(t, err)

		ids = append(ids, there.ID)
	}

	slices.Sort(ids)

	return ids
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		ctx, b := t.Context(), open()
		all, acme := newStore(t, b, session.Config{}), newStore(t, b, session.Config{Tenant: "acme"})

		for _, s := range []session.Session{
			{ID: "plain"}, {ID: "tools", Graph: session.Chain("input", "agent", "output")}, {ID: "over"},
		} {
			_, err := all.Create(ctx, s)
			check(t, err)
		}

		between := time.Now()

		check(t, acme.Touch(ctx, "own"))
		check(t, all.State("plain", "memory").Save(ctx, 1))
		check(t, all.End(ctx, "over", ""))

		for _, c := range []struct {
			f    session.Filter
			want []string
		}{
			{session.Filter{}, []string{"over", "plain", "t--acme--own", "tools"}},
			{session.Filter{Component: "agent"}, []string{"tools"}},
			{session.Filter{Component: "memory"}, []string{"plain"}},
			{session.Filter{State: session.Ended}, []string{"over"}},
			{session.Filter{Tenant: "acme"}, []string{"t--acme--own"}},
			{session.Filter{Since: between}, []string{"t--acme--own"}},
			{session.Filter{Before: between, State: session.Active}, []string{"plain", "tools"}},
		} {
			if diff := cmp.Diff(c.want, ids(t, all, c.f)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", c.f, diff)
			}
		}

		if own := ids(t, acme, session.Filter{}); !cmp.Equal(own, []string{"own"}) {
			t.Errorf("the tenant sees %q", own)
		}
	})
}

func TestWrongIDsAreRefused(t *testing.T) {
	t.Parallel()

	b := membus.New(membus.Config{})

	for _, tenant := range []string{"", "acme", "A b"} {
		s := newStore(t, b, session.Config{Tenant: tenant})

		for _, id := range []string{"", "a.b", "*", "_session", "_affinity"} {
			if tenant == "acme" && id != "" && id[0] == '_' {
				continue // one of the tenant's own, and not reserved on the bus
			}

			_, got := s.Get(t.Context(), id)
			_, made := s.Create(t.Context(), session.Session{ID: id})

			for _, err := range []error{
				got, made, s.Touch(t.Context(), id), s.End(t.Context(), id, ""),
				s.State(id, "llm").Load(t.Context(), new(int)), s.State(id, "llm").Save(t.Context(), 1),
			} {
				if err == nil || errors.Is(err, bus.ErrNotFound) {
					t.Errorf("tenant %q, id %q: %v", tenant, id, err)
				}
			}
		}
	}

	s := newStore(t, b, session.Config{})
	if _, err := s.Create(t.Context(), session.Session{ID: "s", Graph: session.Chain("a b", "c")}); err == nil {
		t.Error("a graph of what can't be a component was stored")
	}
}
