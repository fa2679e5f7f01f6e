package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

const component = "c"

func turn(session string, n int) *bus.Letter {
	return &bus.Letter{ID: "t" + strconv.Itoa(n), Component: component, Session: session, Body: []byte(strconv.Itoa(n))}
}

// post posts letters first to last-1 of a session.
func post(tb testing.TB, b *Bus, session string, first, last int) {
	tb.Helper()

	for n := first; n < last; n++ {
		if err := b.Post(tb.Context(), turn(session, n)); err != nil {
			tb.Fatal(err)
		}
	}
}

// work runs Work until the returned function is called, which returns what Work did, or the test ends.
func work(tb testing.TB, b *Bus, cfg bus.WorkConfig, serve func(context.Context, bus.Claim)) func() error {
	tb.Helper()

	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)

	go func() { ended <- b.Work(ctx, component, cfg, serve) }()

	stop := sync.OnceValue(func() error {
		cancel()

		return <-ended
	})
	tb.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, bus.ErrClosed) {
			tb.Errorf("work: %v", err)
		}
	})

	return stop
}

// each serves a claim's letters until there is none or the claim is lost.
func each(tb testing.TB, see func(*bus.Letter)) func(context.Context, bus.Claim) {
	tb.Helper()

	return func(ctx context.Context, c bus.Claim) {
		for {
			l, err := c.Next(ctx)
			if err == nil && l != nil {
				see(l)
				err = c.Done(ctx, l)
			}

			if err != nil && !errors.Is(err, bus.ErrLost) {
				tb.Errorf("serve: %v", err)
			}

			if err != nil || l == nil {
				return
			}
		}
	}
}

func receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()

	timeout := time.NewTimer(patience)
	defer timeout.Stop()

	select {
	case v := <-from:
		return v
	case <-timeout.C:
		tb.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// turnsHeld counts what the JetStream stream of turns holds.
func turnsHeld(tb testing.TB, b *Bus) uint64 {
	tb.Helper()

	s := must(b.js.Stream(tb.Context(), b.ns.TurnsStream()))(tb)

	return must(s.Info(tb.Context()))(tb).State.Msgs
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	mailboxOn(t, embeddedtest.Run(t).URL(), time.Second, 1)
}

// mailboxOn runs what may differ between a single server and a cluster. The stress run posts an n-th of its letters.
func mailboxOn(t *testing.T, url string, lease time.Duration, n int) {
	t.Helper()
	t.Run("conditions", func(t *testing.T) { t.Parallel(); conditions(t, open(t, Config{URL: url, App: "conditions"})) })
	t.Run("rest", func(t *testing.T) { t.Parallel(); rests(t, open(t, Config{URL: url, App: "rest"}), lease) })
	t.Run("stress", func(t *testing.T) { t.Parallel(); stress(t, Config{URL: url, App: "stress"}, lease, stressLetters/n) })
}

// conditions checks what the protocol takes for granted of the server.
func conditions(t *testing.T, b *Bus) {
	t.Helper()

	ctx := t.Context()
	x := must(b.box(component, "s"))(t)

	empty, idle := mailbox.Condition{Log: mailbox.Inbox}, mailbox.Entry{}
	letter := mailbox.Entry{Letter: turn("s", 0)}

	refused := func(what string, err error) {
		t.Helper()

		if !errors.Is(err, bus.ErrConflict) {
			t.Errorf("%s: got %v, want a conflict", what, err)
		}
	}

	first := must(x.Append(ctx, mailbox.Inbox, letter, mailbox.Condition{Log: mailbox.Register}))(t)
	second := must(x.Append(ctx, mailbox.Inbox, letter, mailbox.Condition{Log: mailbox.Register}))(t)

	_, err := x.Append(ctx, mailbox.Register, idle, empty)
	refused("idle with two letters", err)

	for _, seq := range []uint64{second, first, first} { // in any order, and twice
		if err := x.Delete(ctx, seq); err != nil {
			t.Fatal(err)
		}
	}

	// A subject whose entries were all deleted has the last sequence 0 again.
	i := must(x.Append(ctx, mailbox.Register, idle, empty))(t)

	_, err = x.Append(ctx, mailbox.Inbox, letter, mailbox.Condition{Log: mailbox.Register})
	refused("letter on an empty register", err)
	scheduled := mailbox.Entry{Scheduled: true, On: i}
	must(x.Append(ctx, mailbox.Register, scheduled, mailbox.Condition{Log: mailbox.Register, Last: i}))(t)

	got := must(x.Last(ctx))(t)
	if got.Seq <= i || !got.Scheduled || got.On != i {
		t.Errorf("register is %+v", got)
	}
}

// rests checks that what is done leaves nothing on the server.
func rests(t *testing.T, b *Bus, lease time.Duration) {
	t.Helper()

	const sessions, letters = 10, 10

	seen := make(chan string, sessions*letters)
	stop := work(t, b, bus.WorkConfig{Lease: lease}, each(t, func(l *bus.Letter) { seen <- l.ID }))

	var posting sync.WaitGroup
	for n := range sessions {
		posting.Go(func() { post(t, b, "s"+strconv.Itoa(n), 0, letters) })
	}

	posting.Wait()

	for range sessions * letters {
		receive(t, "letter", seen)
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	if n := turnsHeld(t, b); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// TestReleaseStaysScheduled checks that a delayed mailbox takes letters without being handed out.
func TestReleaseStaysScheduled(t *testing.T) {
	t.Parallel()

	b := single(t)
	x := must(b.box(component, "s"))(t)
	post(t, b, "s", 0, 1)

	before := must(x.Last(t.Context()))(t)
	claims := make(chan int, 1)
	work(t, b, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		l, err := c.Next(ctx)
		if err != nil {
			t.Errorf("next: %v", err)

			return
		}

		if l.Deliveries == 1 {
			err = c.Release(ctx, 300*time.Millisecond)
			post(t, b, "s", 1, 2)
		} else {
			each(t, func(*bus.Letter) {})(ctx, c)
		}

		if err != nil {
			t.Errorf("release: %v", err)
		}

		claims <- l.Deliveries
	})
	receive(t, "claim", claims)

	if now := must(x.Last(t.Context()))(t); now != before {
		t.Errorf("register is %+v after a release, was %+v", now, before)
	}

	if n := receive(t, "claim", claims); n != 2 {
		t.Errorf("delivered %d times, want 2", n)
	}
}

// TestConsumerVanishes deletes the consumer under a worker.
func TestConsumerVanishes(t *testing.T) {
	t.Parallel()

	b := single(t)
	seen := make(chan string, 1)

	work(t, b, bus.WorkConfig{}, each(t, func(l *bus.Letter) { seen <- l.ID }))
	post(t, b, "s", 0, 1)
	receive(t, "letter", seen)

	if err := b.js.DeleteConsumer(t.Context(), b.ns.TurnsStream(), b.ns.Consumer(component)); err != nil {
		t.Fatal(err)
	}

	post(t, b, "s", 1, 2)

	for receive(t, "letter after the consumer was deleted", seen) != "t1" { //nolint:revive // the first one again, at most
	}
}

// TestFullMailboxPasses gives a worker with one claim a full mailbox before another one.
func TestFullMailboxPasses(t *testing.T) {
	t.Parallel()

	const full = 100

	b := single(t)
	post(t, b, "full", 0, full)
	post(t, b, "other", 0, 1)

	var before int

	other := make(chan int, 1)
	all := make(chan struct{})
	left := full

	work(t, b, bus.WorkConfig{Concurrency: 1}, each(t, func(l *bus.Letter) {
		if l.Session == "other" {
			other <- before

			return
		}

		if l.ID != "t"+strconv.Itoa(before) || l.Deliveries != 1 {
			t.Errorf("letter %d is %s, delivered %d times", before, l.ID, l.Deliveries)
		}

		before++

		left--
		if left == 0 {
			close(all)
		}
	}))

	if n := receive(t, "letter of the other mailbox", other); n > passAfterLetters {
		t.Errorf("it came after %d letters of the full one", n)
	}

	receive(t, "all letters", all)
}

// TestForeignInMailbox puts entries that aren't ours into both logs of a mailbox.
func TestForeignInMailbox(t *testing.T) {
	t.Parallel()

	b := single(t)
	x := must(b.box(component, "s"))(t)
	seen := make(chan string, 30)
	work(t, b, bus.WorkConfig{}, each(t, func(l *bus.Letter) { seen <- l.ID }))

	for n := range 3 {
		for _, subject := range []string{x.inbox, x.register} {
			must(b.publish(t.Context(), &nats.Msg{Subject: subject, Data: []byte("{\"state\":\"scheduled\"}")}))(t)
		}

		post(t, b, "s", n, n+1)

		// A foreign entry in the register counts as idle, so the mailbox is scheduled while the worker may still be at
		// the letter before, which another claim then finds, too.
		got := receive(t, "letter", seen)
		for n > 0 && got == fmt.Sprint("t", n-1) {
			got = receive(t, "letter", seen)
		}

		if got != fmt.Sprint("t", n) {
			t.Errorf("got %s, want t%d", got, n)
		}
	}

	if b.Counts().Foreign == 0 {
		t.Error("nothing was counted")
	}
}

// TestNewerProtocol leaves what a newer program wrote to programs that can read it.
func TestNewerProtocol(t *testing.T) {
	t.Parallel()

	b := single(t)
	x := must(b.box(component, "s"))(t)
	m := &nats.Msg{Subject: x.inbox, Header: nats.Header{headerVersion: {"2"}, headerTurn: {"new"}}}
	must(b.publish(t.Context(), m))(t)
	post(t, b, "s", 0, 1)

	failed := make(chan error, 16)
	stop := work(t, b, bus.WorkConfig{Lease: 300 * time.Millisecond}, func(ctx context.Context, c bus.Claim) {
		_, err := c.Next(ctx)
		failed <- err
	})

	if err := receive(t, "claim", failed); !errors.Is(err, bus.ErrUnsupported) {
		t.Errorf("next: %v", err)
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	if n := turnsHeld(t, b); n != 3 {
		t.Errorf("%d entries are left, want all 3", n)
	}
}
