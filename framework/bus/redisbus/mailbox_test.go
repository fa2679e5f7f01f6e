package redisbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// taker is a worker that takes when it is told to.
func taker(tb testing.TB, b *Bus, lease time.Duration) *worker {
	tb.Helper()

	w := &worker{
		bus: b, component: worksFor, keys: must(b.ns.RedisMailboxes(worksFor))(tb), lease: lease,
		room: crew.NewRoom(8), wake: make(chan struct{}, 1),
	}
	w.serveCtx, w.cancel = context.WithCancelCause(tb.Context())
	tb.Cleanup(func() { w.cancel(context.Canceled) })
	w.leases.begin(w)

	return w
}

// claim takes the mailbox of a session. It believes in it for an hour, whatever its lease.
func (w *worker) claim(tb testing.TB, session string) *claim {
	tb.Helper()

	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()

	for {
		got := must(w.takeDue(ctx, 1))(tb)
		if len(got.sessions) == 1 && got.sessions[0] == session {
			got.asked = time.Now().Add(time.Hour)

			return must(w.newClaim(session, got))(tb)
		}

		if !pause(ctx, max(got.next, time.Millisecond)) {
			tb.Fatalf("the mailbox of %s was not handed out", session)
		}
	}
}

// A claim that its holder believes in is refused by the server as soon as another one is made.
func TestTokensFence(t *testing.T) {
	t.Parallel()

	b := single(t)
	posted(t, b, "s", 0, 2)

	w := taker(t, b, time.Minute)
	for name, use := range map[string]func(*claim, *bus.Letter) error{
		"next": func(c *claim, _ *bus.Letter) error {
			_, err := c.Next(t.Context())

			return err
		},
		"done":    func(c *claim, l *bus.Letter) error { return c.Done(t.Context(), l) },
		"release": func(c *claim, _ *bus.Letter) error { return c.Release(t.Context(), 0) },
		"renew": func(c *claim, _ *bus.Letter) error {
			w.leases.renewSome(t.Context(), []*claim{c})

			return context.Cause(c.ctx)
		},
	} {
		old := w.claim(t, "s")
		l := must(old.Next(t.Context()))(t)

		must(b.client.ZAdd(t.Context(), w.keys.Due, redis.Z{Member: "s"}).Result())(t) // the lease is over
		taken := w.claim(t, "s")

		if err := use(old, l); !errors.Is(err, bus.ErrLost) {
			t.Errorf("%s of a claim that was taken over: %v", name, err)
		}

		if context.Cause(old.ctx) == nil {
			t.Errorf("%s did not end the claim that was taken over", name)
		}

		if l, err := taken.Next(t.Context()); err != nil || l.ID != "t0" {
			t.Errorf("after %s the other claim is given %+v, %v", name, l, err)
		}

		if err := taken.Release(t.Context(), 0); err != nil {
			t.Errorf("release: %v", err)
		}
	}
}

// A claim whose leases nobody renews ends by this process's clock, without any answer of the server.
func TestLeaseEndsByItself(t *testing.T) {
	t.Parallel()

	b := single(t)
	posted(t, b, "s", 0, 1)

	w := taker(t, b, time.Minute)
	got := must(w.takeDue(t.Context(), 1))(t)
	got.asked = time.Now().Add(-time.Minute)

	c := must(w.newClaim("s", got))(t)
	receive(t, "end of the claim", c.ctx.Done())

	if _, err := c.Next(t.Context()); !errors.Is(err, bus.ErrLost) {
		t.Errorf("next: %v", err)
	}

	c.extend(time.Now().Add(time.Hour))

	if err := c.check(); !errors.Is(err, bus.ErrLost) {
		t.Errorf("a renewal that came too late brought the claim back: %v", err)
	}
}

// A machine that was suspended wakes up with timers that know nothing of it, and with another time of day: the claim is over
// before anything is done under it, and ends without a call, too, whatever the server says.
func TestLeaseEndsInASuspension(t *testing.T) {
	t.Parallel()

	for name, calls := range map[string]bool{"with a call": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := single(t)
			posted(t, b, "s", 0, 1)

			ended := make(chan error, 8)
			working(t, b, bus.WorkConfig{Lease: 3 * time.Second}, func(ctx context.Context, held bus.Claim) {
				l, err := held.Next(ctx)
				if err != nil {
					t.Error(err)

					return
				}

				woken := time.Now().Round(0).Add(-time.Second) // by the time of day
				held.(*claim).until.Store(&woken)

				if calls {
					if err := held.Done(ctx, l); !errors.Is(err, bus.ErrLost) {
						t.Errorf("done: %v", err)
					}
				}

				<-ctx.Done()
				ended <- context.Cause(ctx)
			})
			wantErr(t, "the claim", receive(t, "end of the claim", ended), bus.ErrLost)
		})
	}
}

// What was taken when the worker's context had ended goes back as if it had not been handed out.
func TestPutBack(t *testing.T) {
	t.Parallel()

	b := single(t)
	posted(t, b, "s", 0, 1)

	w := taker(t, b, time.Minute)
	w.claim(t, "s").putBack()

	if l := must(w.claim(t, "s").Next(t.Context()))(t); l.Deliveries != 1 {
		t.Errorf("delivered %d times, want once", l.Deliveries)
	}
}

// A mailbox whose worker has no claim left goes to the end of the queue between letters, and does not count as handed
// out for it.
func TestFullMailboxPasses(t *testing.T) {
	t.Parallel()

	b := single(t)
	posted(t, b, "a", 0, passAfterLetters+1)
	posted(t, b, "b", 0, 1)

	order := make(chan string, passAfterLetters+2)
	working(t, b, bus.WorkConfig{Concurrency: 1}, eachLetter(t, func(l *bus.Letter) {
		order <- fmt.Sprint(l.Session, l.ID, " ", l.Deliveries)
	}))

	var got []string
	for range cap(order) {
		got = append(got, receive(t, "letter", order))
	}

	want := fmt.Sprintf("bt0 1 at%d 1", passAfterLetters)
	if end := strings.Join(got[passAfterLetters:], " "); end != want {
		t.Errorf("the letters end with %s, want %s", end, want)
	}
}

// A wake that was lost delays a letter, but does not lose it.
func TestLostWake(t *testing.T) {
	t.Parallel()

	server := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: server.URL()})
	seen := make(chan string, 2)
	working(t, b, bus.WorkConfig{Lease: 100 * time.Millisecond}, eachLetter(t, func(l *bus.Letter) { seen <- l.ID }))

	posted(t, b, "s", 0, 1)
	receive(t, "the worker at work", seen)
	receive(t, "a worker that waits for nothing but a wake", time.After(500*time.Millisecond))

	keys := must(b.ns.RedisMailbox(worksFor, "s"))(t)
	l := turnLetter("s", 1)
	args := append([]any{l.ID, "s", "nobody listens here"}, encodeLetter(l)...)
	must(b.run(t.Context(), b.scripts.post, []string{keys.Inbox, keys.Letters, keys.Due}, args...))(t)

	if got := receive(t, "letter without a wake", seen); got != "t1" {
		t.Errorf("got %s", got)
	}
}

// Entries that are no letters stop nothing and stay nowhere; those of a newer program are left to one.
func TestForeignEntries(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})
	inbox := must(b.ns.RedisMailbox(worksFor, "s"))(t).Inbox
	must(admin(t, url).XAdd(t.Context(), &redis.XAddArgs{Stream: inbox, Values: []string{"hello", "world"}}).Result())(t)
	posted(t, b, "s", 0, 1)

	if l, err := b.Peek(t.Context(), worksFor, "s"); err != nil || l.ID != "t0" {
		t.Errorf("peek is %+v, %v", l, err)
	}

	w := taker(t, b, time.Minute)
	c := w.claim(t, "s")

	l := must(c.Next(t.Context()))(t)
	if l.ID != "t0" {
		t.Errorf("next is %+v", l)
	}

	if err := c.Done(t.Context(), l); err != nil {
		t.Error(err)
	}

	values := []string{letterVersion, "2", letterTurn, "t9"}
	must(admin(t, url).XAdd(t.Context(), &redis.XAddArgs{Stream: inbox, Values: values}).Result())(t)

	if _, err := c.Next(t.Context()); !errors.Is(err, bus.ErrUnsupported) {
		t.Errorf("next of a newer program's letter: %v", err)
	}

	if _, err := b.Peek(t.Context(), worksFor, "s"); !errors.Is(err, bus.ErrUnsupported) {
		t.Errorf("peek at a newer program's letter: %v", err)
	}
}

// Letters that are done leave nothing behind, and neither do mailboxes, claims, keys and dead letters that are gone.
func TestNothingStays(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})

	for _, session := range []string{"a", "b", "c"} {
		posted(t, b, session, 0, 3)

		if _, err := b.Set(t.Context(), bus.Sessions, session, nil, 0, 0); err != nil {
			t.Error(err)
		}

		d := &bus.DeadLetter{Letter: *turnLetter(session, 0)}
		if err := b.Bury(t.Context(), d); err != nil {
			t.Error(err)
		}
	}

	w := taker(t, b, time.Minute)
	for _, session := range []string{"a", "b", "c"} {
		serve, c := eachLetter(t, func(*bus.Letter) {}), w.claim(t, session)
		serve(c.ctx, c)

		if err := b.Delete(t.Context(), bus.Sessions, session, 0); err != nil {
			t.Error(err)
		}
	}

	for d, err := range b.Dead(t.Context(), "") {
		if err != nil || b.Drop(t.Context(), d) != nil {
			t.Errorf("drop %+v: %v", d, err)
		}
	}

	// The empty Redis stream of dead letters keeps the last id until it expires; the revision must never begin anew.
	want := []string{b.ns.RedisDead().Letters, b.ns.RedisBucket("sessions").Revision, b.ns.RedisLife()}
	keys := must(admin(t, url).Keys(t.Context(), "*").Result())(t)
	slices.Sort(keys)

	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// When the server's memory is full, nothing more is stored, and what frees memory still works.
func TestFullMemory(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b, c := open(t, Config{URL: url}), admin(t, url)

	posted(t, b, "s", 0, 1)

	rev := must(b.Set(t.Context(), bus.Sessions, "key", []byte("v"), 0, 0))(t)
	if err := b.Bury(t.Context(), &bus.DeadLetter{Letter: *turnLetter("s", 0)}); err != nil {
		t.Fatal(err)
	}

	w := taker(t, b, time.Minute)
	must(c.ConfigSet(t.Context(), "maxmemory", "1").Result())(t)

	_, setErr := b.Set(t.Context(), bus.Sessions, "other", nil, 0, 0)
	for what, err := range map[string]error{
		"post": b.Post(t.Context(), turnLetter("s", 1)), "set": setErr,
		"bury": b.Bury(t.Context(), &bus.DeadLetter{Letter: *turnLetter("s", 1)}),
	} {
		if !errors.Is(err, bus.ErrFull) {
			t.Errorf("%s: %v", what, err)
		}
	}

	if err := b.Post(t.Context(), turnLetter("s", 0)); err != nil {
		t.Errorf("repeat a post: %v", err)
	}

	if _, err := b.Get(t.Context(), bus.Sessions, "other"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("get what was refused: %v", err)
	}

	held := w.claim(t, "s")
	if err := held.Release(t.Context(), 0); err != nil {
		t.Errorf("release: %v", err)
	}

	held = w.claim(t, "s")
	w.leases.renewSome(t.Context(), []*claim{held})

	if err := held.check(); err != nil {
		t.Errorf("renew: %v", err)
	}

	var seen int

	eachLetter(t, func(*bus.Letter) { seen++ })(held.ctx, held)

	if seen != 1 || !held.over.Load() {
		t.Errorf("%d letters, given back: %v; want one, and true", seen, held.over.Load())
	}

	if err := b.Delete(t.Context(), bus.Sessions, "key", rev); err != nil {
		t.Errorf("delete: %v", err)
	}

	for d, err := range b.Dead(t.Context(), "") {
		if err != nil || b.Drop(t.Context(), d) != nil || d.ID != "t0" {
			t.Errorf("drop %+v: %v", d, err)
		}
	}
}

// All keys of a script are in one slot of a cluster, and no script touches others.
func TestOneSlot(t *testing.T) {
	t.Parallel()

	server := redistest.Run(t, redistest.Options{Lines: []string{"cluster-enabled yes", "cluster-require-full-coverage no"}})
	must(admin(t, server.URL()).ClusterAddSlotsRange(t.Context(), 0, 16383).Result())(t)

	b := open(t, Config{URL: server.URL()})
	seen := make(chan string, 4)
	working(t, b, bus.WorkConfig{}, eachLetter(t, func(l *bus.Letter) { seen <- l.Session + l.ID }))

	for _, session := range []string{"a", "b"} {
		posted(t, b, session, 0, 1)
		receive(t, "letter", seen)

		rev := must(b.Set(t.Context(), bus.Registry, session, nil, 0, time.Hour))(t)
		must(b.Get(t.Context(), bus.Registry, session))(t)

		if err := b.Delete(t.Context(), bus.Registry, session, rev); err != nil {
			t.Error(err)
		}

		d := &bus.DeadLetter{Letter: *turnLetter(session, 0)}
		if err := b.Bury(t.Context(), d); err != nil {
			t.Error(err)
		}
	}

	for e, err := range b.Watch(t.Context(), bus.Registry, "") {
		if err != nil || e.Kind != bus.KVSynced {
			t.Errorf("watch: %+v, %v", e, err)
		}

		break
	}

	for d, err := range b.Dead(t.Context(), worksFor) {
		if err != nil || b.Drop(t.Context(), d) != nil {
			t.Errorf("drop %+v: %v", d, err)
		}
	}
}
