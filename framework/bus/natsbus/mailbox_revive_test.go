package natsbus

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

// TestRevived posts to a mailbox whose register says that a worker was called, by an entry that was acknowledged: what
// a server leaves that forgot the entry's removal when it was killed. With a mark on top the same happens.
func TestRevived(t *testing.T) {
	t.Parallel()

	for _, marked := range []bool{false, true} {
		t.Run(map[bool]string{false: "scheduled", true: "marked"}[marked], func(t *testing.T) {
			t.Parallel()

			b := single(t)
			x := must(b.box(component, "s"))(t)
			w := &worker{bus: b, component: component, lease: time.Second}

			if err := w.makeConsumer(t.Context()); err != nil {
				t.Fatal(err)
			}

			seq := must(x.Append(t.Context(), mailbox.Register, mailbox.Entry{Scheduled: true},
				mailbox.Condition{Log: mailbox.Register}))(t)
			acknowledgeNext(t, b)

			if marked {
				must(x.Append(t.Context(), mailbox.Register, mailbox.Entry{Scheduled: true, On: seq, Mark: seq, Before: 1},
					mailbox.Condition{Log: mailbox.Register, Last: seq}))(t)
				acknowledgeNext(t, b)
			}

			post(t, b, "s", 0, 2)

			seen := make(chan string, 2)
			work(t, b, bus.WorkConfig{Lease: 300 * time.Millisecond}, each(t, func(l *bus.Letter) { seen <- l.ID }))

			for _, want := range []string{"t0", "t1"} {
				if got := receive(t, "letter", seen); got != want {
					t.Errorf("got letter %s, want %s", got, want)
				}
			}
		})
	}
}

// TestReviveLeavesWorkAlone looks for mailboxes left behind while one is worked on, and after it was worked off.
func TestReviveLeavesWorkAlone(t *testing.T) {
	t.Parallel()

	b := single(t)
	w := &worker{bus: b, component: component, lease: time.Second}
	seen, goOn := make(chan string), make(chan struct{})
	work(t, b, bus.WorkConfig{}, each(t, func(l *bus.Letter) {
		seen <- l.ID
		<-goOn
	}))
	post(t, b, "s", 0, 1)
	receive(t, "letter", seen)

	before := turnsHeld(t, b)

	if err := w.revive(t.Context()); err != nil {
		t.Error(err)
	}

	if after := turnsHeld(t, b); after != before {
		t.Errorf("%d entries became %d", before, after)
	}

	close(goOn)
}

// TestRevivedOnceReconnected leaves a mailbox behind after a worker has looked, which looks again in hours only, unless
// its connection breaks.
func TestRevivedOnceReconnected(t *testing.T) {
	t.Parallel()

	url := embeddedtest.Run(t).URL()
	b, other := open(t, Config{URL: url}), open(t, Config{URL: url})
	w := &worker{bus: b, component: component, lease: time.Hour}

	if err := w.makeConsumer(t.Context()); err != nil {
		t.Fatal(err)
	}

	leaveBehind := func(session string) {
		x := must(other.box(component, session))(t)
		must(x.Append(t.Context(), mailbox.Register, mailbox.Entry{Scheduled: true},
			mailbox.Condition{Log: mailbox.Register}))(t)
		acknowledgeNext(t, other)
	}

	ctx, cancel := context.WithCancel(t.Context())

	var looking sync.WaitGroup
	defer looking.Wait()
	defer cancel()

	leaveBehind("s0")
	looking.Go(func() { w.reviveAll(ctx) })
	acknowledgeNext(t, other) // what the worker called
	leaveBehind("s1")

	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}

	acknowledgeNext(t, other)
}

// acknowledgeNext takes what the consumer delivers next and acknowledges it.
func acknowledgeNext(t *testing.T, b *Bus) {
	t.Helper()

	c := must(b.js.Consumer(t.Context(), b.ns.TurnsStream(), b.ns.Consumer(component)))(t)
	m := must(c.Next())(t)

	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
}
