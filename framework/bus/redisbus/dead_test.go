package redisbus

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// listed returns the components and ids of the dead letters.
func listed(tb testing.TB, b *Bus, component string) []string {
	tb.Helper()

	var list []string

	for d, err := range b.Dead(tb.Context(), component) {
		if err != nil {
			tb.Fatal(err)
		}

		list = append(list, d.Component+d.ID)
	}

	return list
}

// Letters of all components come in the order they were buried, however many pages they take.
func TestDeadPages(t *testing.T) {
	t.Parallel()

	b := single(t)
	input := make([]byte, deadPage/3)

	var want, wantA []string

	for n := range 10 {
		d := &bus.DeadLetter{Letter: *turnLetter("s", n), Input: input}
		d.Component = string("aab"[n%3])

		if err := b.Bury(t.Context(), d); err != nil {
			t.Fatal(err)
		}

		want = append(want, d.Component+d.ID)
		if d.Component == "a" {
			wantA = append(wantA, d.Component+d.ID)
		}
	}

	if got := listed(t, b, ""); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}

	if got := listed(t, b, "a"); fmt.Sprint(got) != fmt.Sprint(wantA) {
		t.Errorf("of one component %v, want %v", got, wantA)
	}
}

// Each dead letter is kept for its age: then it is not listed, can be buried again, and leaves with the next one.
func TestDeadExpire(t *testing.T) {
	t.Parallel()

	const age = 500 * time.Millisecond

	url := redistest.Run(t, redistest.Options{}).URL()
	b, c := open(t, Config{URL: url}), admin(t, url)
	keys := b.ns.RedisDead()
	all := []string{keys.Letters, keys.Index, keys.IDs}

	bury := func(n int) []any {
		l := turnLetter("s", n)
		fields := must(encodeDead(&bus.DeadLetter{Letter: *l}))(t)

		return append([]any{l.Component, l.Session, l.ID, age.Microseconds()}, fields...)
	}

	for n := range 3 {
		if err := b.Bury(t.Context(), &bus.DeadLetter{Letter: *turnLetter("s", n)}); err != nil {
			t.Fatal(err)
		}
	}

	receive(t, "more than the age", time.After(age+100*time.Millisecond))

	first := turnLetter("s", 0)

	for d, err := range b.Dead(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}

		first = &d.Letter

		break
	}

	// In one step, before the server forgets all of it because nobody buried anything.
	var (
		counts []*redis.IntCmd
		found  *redis.Cmd
	)

	must(c.TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		found = tx.Eval(t.Context(), clockLua+deadLua+deadGetLua, all[:1],
			first.Component, first.Session, first.ID, formatPosition(first.Position), age.Microseconds())

		for _, n := range []int{0, 3} {
			tx.Eval(t.Context(), clockLua+deadLua+buryLua, all, bury(n)...)
		}

		counts = []*redis.IntCmd{
			tx.XLen(t.Context(), keys.Letters), tx.ZCard(t.Context(), keys.Index), tx.HLen(t.Context(), keys.IDs),
		}

		return nil
	}))(t)

	if fields := must(found.Slice())(t); len(fields) > 0 {
		t.Errorf("what is too old was found: %q", fields)
	}

	for i, n := range counts {
		if n.Val() != 2 {
			t.Errorf("%s holds %d, want 2", all[i], n.Val())
		}
	}

	receive(t, "more than the age", time.After(age+100*time.Millisecond))

	if n := must(c.Exists(t.Context(), all...).Result())(t); n != 0 {
		t.Errorf("%d keys are left, want none", n)
	}
}

// What can't be read hides nothing.
func TestDeadForeign(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})
	must(admin(t, url).XAdd(t.Context(), &redis.XAddArgs{
		Stream: b.ns.RedisDead().Letters, Values: []string{"hello", "world"},
	}).Result())(t)

	if err := b.Bury(t.Context(), &bus.DeadLetter{Letter: *turnLetter("s", 0)}); err != nil {
		t.Fatal(err)
	}

	if got := listed(t, b, ""); fmt.Sprint(got) != "[llmt0]" {
		t.Errorf("listed %v", got)
	}

	if n := b.Counts().Corrupt; n != 1 {
		t.Errorf("%d corrupt entries, want 1", n)
	}
}
