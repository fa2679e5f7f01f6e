package bustest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func kvCases() []promise {
	return []promise{
		{name: "kv/set and get", run: setAndGet},
		{name: "kv/a change needs the revision", run: revisionsGuard},
		{name: "kv/delete", run: deleteKey},
		{name: "kv/a deleted key can be made again", run: makeAgain},
		{name: "kv/buckets don't mix", run: bucketsApart},
		{name: "kv/no change is lost when many change a key", run: manyChange, faults: true},
		{name: "kv/a key expires", run: keyExpires},
		{name: "kv/a key that is set again does not expire", run: keyRefreshed},
		{name: "kv/renewing changes no revision", run: renewKeepsRevision},
		{name: "kv/a key that is renewed does not expire", run: keyRenewed},
		{name: "kv/no change is lost while a key is renewed", run: changeWhileRenewed, faults: true},
	}
}

func setAndGet(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	prefix := newID("k")

	for i, key := range []string{"a", "a.b", "A", "1.2.3.4.5.6.7", "-._", "a." + strings.Repeat("x", 64)} {
		key, value := prefix+"."+key, []byte(fmt.Sprint("value\r\n\x00\xff", i))
		rev := must[uint64](t)(one.Set(t.Context(), bus.Sessions, key, value, 0, 0))
		want := bus.KVEntry{Key: key, Value: []byte(fmt.Sprint("value\r\n\x00\xff", i)), Revision: rev}

		copy(value, "XXXXX")
		same(t, "value", want, must[bus.KVEntry](t)(two.Get(t.Context(), bus.Sessions, key)))
	}

	must[uint64](t)(one.Set(t.Context(), bus.Sessions, prefix, nil, 0, 0))

	if e := must[bus.KVEntry](t)(two.Get(t.Context(), bus.Sessions, prefix)); len(e.Value) != 0 {
		t.Errorf("empty value is %q", e.Value)
	}

	_, err := one.Get(t.Context(), bus.Sessions, prefix+".none")
	wantErr(t, "get", err, bus.ErrNotFound)
}

func revisionsGuard(t *testing.T, s *suite) {
	b, key := s.open(t), newID("k")
	set := func(v string, rev uint64) (uint64, error) {
		return b.Set(t.Context(), bus.Sessions, key, []byte(v), rev, 0)
	}

	_, err := set("x", 5)
	wantErr(t, "set a key that is not there", err, bus.ErrConflict)

	first := must[uint64](t)(set("1", 0))
	_, err = set("x", 0)
	wantErr(t, "make a key that is there", err, bus.ErrConflict)

	second := must[uint64](t)(set("2", first))
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}

	for _, rev := range []uint64{first, second + 1} {
		_, err = set("x", rev)
		wantErr(t, "set at another revision", err, bus.ErrConflict)
	}

	if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)); string(e.Value) != "2" {
		t.Errorf("value is %q", e.Value)
	}
}

func deleteKey(t *testing.T, s *suite) {
	b, key := s.open(t), newID("k")
	rev := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("1"), 0, 0))

	wantErr(t, "delete at another revision", b.Delete(t.Context(), bus.Sessions, key, rev+1), bus.ErrConflict)

	if err := b.Delete(t.Context(), bus.Sessions, key, rev); err != nil {
		t.Fatal(err)
	}

	_, err := b.Get(t.Context(), bus.Sessions, key)
	wantErr(t, "get", err, bus.ErrNotFound)

	wantErr(t, "delete what is gone", b.Delete(t.Context(), bus.Sessions, key, rev), bus.ErrConflict)

	if err := b.Delete(t.Context(), bus.Sessions, key, 0); err != nil {
		t.Errorf("delete whatever is there, which is nothing: %v", err)
	}

	if err := b.Delete(t.Context(), bus.Sessions, newID("never"), 0); err != nil {
		t.Errorf("delete what never was: %v", err)
	}
}

func makeAgain(t *testing.T, s *suite) {
	b, key := s.open(t), newID("k")
	first := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("1"), 0, 0))

	if err := b.Delete(t.Context(), bus.Sessions, key, 0); err != nil {
		t.Fatal(err)
	}

	_, err := b.Set(t.Context(), bus.Sessions, key, []byte("x"), first, 0)
	wantErr(t, "set at the revision before the deletion", err, bus.ErrConflict)

	if again := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("2"), 0, 0)); again <= first {
		t.Errorf("revision %d after %d", again, first)
	}
}

func bucketsApart(t *testing.T, s *suite) {
	b, key := s.open(t), newID("k")

	for _, bucket := range []bus.Bucket{bus.Registry, bus.Sessions} {
		must[uint64](t)(b.Set(t.Context(), bucket, key, []byte(bucket), 0, 0))
	}

	if err := b.Delete(t.Context(), bus.Registry, key, 0); err != nil {
		t.Fatal(err)
	}

	if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)); string(e.Value) != string(bus.Sessions) {
		t.Errorf("value is %q", e.Value)
	}
}

func manyChange(t *testing.T, s *suite) {
	const writers, changes = 4, 20

	key := newID("k")
	ctx := within(t)

	var changing sync.WaitGroup

	for i := range writers {
		b := s.open(t)
		changing.Go(func() {
			for n := range changes {
				if err := addToken(ctx, b, key, fmt.Sprintf("<%d.%d>", i, n)); err != nil {
					t.Errorf("change: %v", err)
				}
			}
		})
	}

	changing.Wait()

	value := string(must[bus.KVEntry](t)(s.open(t).Get(t.Context(), bus.Sessions, key)).Value)
	for i := range writers {
		for n := range changes {
			if count := strings.Count(value, fmt.Sprintf("<%d.%d>", i, n)); count != 1 {
				t.Errorf("change %d of writer %d is there %d times", n, i, count)
			}
		}
	}
}

// addToken adds to a key's value what tells whether it was added already.
func addToken(ctx context.Context, b bus.Bus, key, token string) error {
	for {
		e, err := b.Get(ctx, bus.Sessions, key)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}

		if strings.Contains(string(e.Value), token) {
			return nil
		}

		_, err = b.Set(ctx, bus.Sessions, key, append(e.Value, token...), e.Revision, 0)
		if err == nil || !errors.Is(err, bus.ErrConflict) && !errors.Is(err, bus.ErrUnknown) {
			return err
		}
	}
}

func keyExpires(t *testing.T, s *suite) {
	b, prefix := s.open(t), newID("k")
	key := prefix + ".x"
	gone := watchFor(t, s.open(t), prefix, bus.KVGone)
	begun := time.Now()
	rev := must[uint64](t)(b.Set(t.Context(), bus.Registry, key, []byte("1"), 0, time.Second))

	if e := receive(t, "expiry", gone); e.Entry.Key != key || len(e.Entry.Value) != 0 {
		t.Errorf("gone: %+v", e)
	}

	took := time.Since(begun)
	if took < time.Second || took > time.Second+s.features.ExpirySlack {
		t.Errorf("expired after %v, want 1 s to %v", took, time.Second+s.features.ExpirySlack)
	}

	_, err := b.Set(t.Context(), bus.Registry, key, []byte("2"), rev, 0)
	wantErr(t, "set at the revision that expired", err, bus.ErrConflict)
	untilNotFound(t, b, key)
	must[uint64](t)(b.Set(t.Context(), bus.Registry, key, []byte("2"), 0, 0))
}

// untilNotFound gets a key of the registry that is gone until that is what it is told: on a cluster a watch may be ahead
// of the leader.
func untilNotFound(t *testing.T, b bus.Bus, key string) {
	t.Helper()

	ctx := within(t)

	for {
		_, err := b.Get(ctx, bus.Registry, key)
		if errors.Is(err, bus.ErrNotFound) {
			return
		}

		if err != nil || !pause(ctx) {
			t.Fatalf("get %s: %v, want ErrNotFound", key, err)
		}
	}
}

func keyRefreshed(t *testing.T, s *suite) {
	b, prefix := s.open(t), newID("k")
	gone := watchFor(t, s.open(t), prefix, bus.KVGone)
	beats, kept := prefix+".beats", prefix+".kept"

	rev := must[uint64](t)(b.Set(t.Context(), bus.Registry, kept, []byte("1"), 0, time.Second))
	must[uint64](t)(b.Set(t.Context(), bus.Registry, kept, []byte("2"), rev, 0))

	rev = must[uint64](t)(b.Set(t.Context(), bus.Registry, beats, []byte("1"), 0, 2*time.Second))
	for range 3 {
		quiet(t, "gone", gone, 800*time.Millisecond)
		rev = must[uint64](t)(b.Set(t.Context(), bus.Registry, beats, []byte("1"), rev, 2*time.Second))
	}

	must[bus.KVEntry](t)(b.Get(t.Context(), bus.Registry, beats))

	if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Registry, kept)); string(e.Value) != "2" {
		t.Errorf("value is %q", e.Value)
	}
}

// Who has read a key before it was renewed can change it, and delete it.
func renewKeepsRevision(t *testing.T, s *suite) {
	b, other, prefix := s.open(t), s.open(t), newID("k")
	key := prefix + ".x"
	renew := func() {
		t.Helper()

		if err := other.Renew(t.Context(), bus.Sessions, key, time.Hour); err != nil {
			t.Fatal(err)
		}
	}

	wantErr(t, "renew what never was", other.Renew(t.Context(), bus.Sessions, key, time.Hour), bus.ErrNotFound)

	rev := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("1"), 0, time.Hour))

	renew()
	renew()

	want := bus.KVEntry{Key: key, Value: []byte("1"), Revision: rev}
	same(t, "renewed key", want, must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)))

	for _, wrong := range []uint64{0, rev + 1} {
		_, err := b.Set(t.Context(), bus.Sessions, key, []byte("x"), wrong, 0)
		wantErr(t, "set at another revision", err, bus.ErrConflict)
	}

	next := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("2"), rev, time.Hour))
	if next <= rev {
		t.Errorf("revision %d after %d", next, rev)
	}

	_, err := b.Set(t.Context(), bus.Sessions, key, []byte("x"), rev, 0)
	wantErr(t, "set at the revision before", err, bus.ErrConflict)

	renew()
	wantErr(t, "delete at the revision before", b.Delete(t.Context(), bus.Sessions, key, rev), bus.ErrConflict)

	if err := b.Delete(t.Context(), bus.Sessions, key, next); err != nil {
		t.Errorf("delete a renewed key: %v", err)
	}

	wantErr(t, "renew what was deleted", other.Renew(t.Context(), bus.Sessions, key, time.Hour), bus.ErrNotFound)
	must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("3"), 0, time.Hour))
}

func keyRenewed(t *testing.T, s *suite) {
	b, prefix := s.open(t), newID("k")
	gone := watchFor(t, s.open(t), prefix, bus.KVGone)
	beats, kept, short := prefix+".beats", prefix+".kept", prefix+".short"
	renew := func(key string, ttl time.Duration) {
		t.Helper()

		if err := b.Renew(t.Context(), bus.Registry, key, ttl); err != nil {
			t.Fatal(err)
		}
	}

	for _, key := range []string{beats, kept} {
		must[uint64](t)(b.Set(t.Context(), bus.Registry, key, []byte(key), 0, 2*time.Second))
	}

	must[uint64](t)(b.Set(t.Context(), bus.Registry, short, []byte("1"), 0, 0))
	renew(kept, 0)

	for range 3 {
		quiet(t, "gone", gone, 800*time.Millisecond)
		renew(beats, 2*time.Second)
	}

	for _, key := range []string{beats, kept} {
		if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Registry, key)); string(e.Value) != key {
			t.Errorf("value is %q", e.Value)
		}
	}

	renew(short, time.Second)

	if e := receive(t, "expiry", gone); e.Entry.Key != short && e.Entry.Key != beats {
		t.Errorf("gone: %+v", e)
	}
}

// Changes of a key that is renewed all the time: none meets a conflict that is none, and none is lost.
func changeWhileRenewed(t *testing.T, s *suite) {
	const changes = 30

	key, b, other := newID("k"), s.open(t), s.open(t)
	ctx, stop := context.WithCancel(within(t))

	if err := addToken(ctx, b, key, "<0>"); err != nil {
		t.Fatal(err)
	}

	var renewing sync.WaitGroup

	renewing.Go(func() {
		for ctx.Err() == nil {
			err := other.Renew(ctx, bus.Sessions, key, time.Hour)
			if err != nil && ctx.Err() == nil && !errors.Is(err, bus.ErrUnknown) {
				t.Errorf("renew: %v", err)
			}
		}
	})

	for n := 1; n <= changes; n++ {
		if err := addToken(ctx, b, key, fmt.Sprintf("<%d>", n)); err != nil {
			t.Errorf("change %d: %v", n, err)
		}
	}

	stop()
	renewing.Wait()

	value := string(must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)).Value)
	for n := range changes + 1 {
		if count := strings.Count(value, fmt.Sprintf("<%d>", n)); count != 1 {
			t.Errorf("change %d is there %d times", n, count)
		}
	}
}
