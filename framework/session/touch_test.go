package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
)

// countedBus counts what is asked of the key-value store.
type countedBus struct {
	bus.Bus

	gets, sets atomic.Int32
}

func (b *countedBus) Get(ctx context.Context, bucket bus.Bucket, key string) (bus.KVEntry, error) {
	b.gets.Add(1)

	return b.Bus.Get(ctx, bucket, key)
}

func (b *countedBus) Set(
	ctx context.Context, bucket bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	b.sets.Add(1)

	return b.Bus.Set(ctx, bucket, key, value, revision, ttl)
}

// asked returns what was asked since the last call.
func (b *countedBus) asked() [2]int32 { return [2]int32{b.gets.Swap(0), b.sets.Swap(0)} }

func TestANewSessionTakesOneRequest(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		counted := &countedBus{Bus: open()}
		ctx, s := t.Context(), newStore(t, counted, session.Config{})
		check(t, s.Touch(ctx, "touched"))

		if asked := counted.asked(); asked != [2]int32{0, 1} {
			t.Errorf("the first turn of a new session took %v gets and sets, want 0 and 1", asked)
		}

		check(t, s.Touch(ctx, "touched"))

		if asked := counted.asked(); asked != [2]int32{} {
			t.Errorf("its second one took %v gets and sets, want none", asked)
		}

		_, err := s.Create(ctx, session.Session{ID: "created"})
		check(t, err)

		if asked := counted.asked(); asked != [2]int32{0, 1} {
			t.Errorf("making a session took %v gets and sets, want 0 and 1", asked)
		}
	})
}

// A store that takes a session for new keeps what others have stored of it.
func TestASessionThatOthersMadeIsKept(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() bus.Bus) {
		ctx, mine, theirs := t.Context(), newStore(t, open(), session.Config{}), newStore(t, open(), session.Config{})
		made, err := theirs.Create(ctx, session.Session{
			ID: "s", Metadata: map[string]string{"user": "ann"}, Graph: map[string][]string{"input": {"llm"}},
		})
		check(t, err)
		check(t, mine.Touch(ctx, "s"))

		there, err := mine.Get(ctx, "s")
		check(t, err)

		if !there.Updated.After(made.Updated) {
			t.Errorf("updated %v, before %v: it was not renewed", there.Updated, made.Updated)
		}

		there.Updated, there.Write = made.Updated, made.Write
		if diff := cmp.Diff(made, there); diff != "" {
			t.Errorf("renewing changed it (-before +after):\n%s", diff)
		}
	})
}
