package natsbus

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestBacklogOfAHungryWorkerAsksNobody: a fleet of idle instances costs the broker nothing.
func TestBacklogOfAHungryWorkerAsksNobody(t *testing.T) {
	t.Parallel()

	const asks = 100

	url := embeddedtest.Run(t).URL()
	b := open(t, Config{URL: url})
	nc := must(nats.Connect(url))(t)
	t.Cleanup(nc.Close)

	requests := make(chan *nats.Msg, 10*asks)
	must(nc.ChanSubscribe("$JS.API.CONSUMER.INFO.>", requests))(t)

	flush := func(nc *nats.Conn) {
		t.Helper()

		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	flush(nc)

	asked := func() (n int) {
		t.Helper()

		for range asks {
			must(b.Backlog(t.Context(), component))(t)
		}

		flush(b.nc) // what was asked has reached the server
		flush(nc)   // and what that passed on is here

		for ; len(requests) > 0; n++ {
			<-requests
		}

		return n
	}

	if n := asked(); n < asks {
		t.Errorf("a bus without a worker asked %d times of %d", n, asks)
	}

	goOn, began := make(chan struct{}), make(chan struct{})
	// All claims are in use once the first one is.
	work(t, b, bus.WorkConfig{Concurrency: 1}, func(ctx context.Context, c bus.Claim) {
		began <- struct{}{}
		<-goOn
		each(t, func(*bus.Letter) {})(ctx, c)
	})

	hungry(t, b)

	// A worker also looks for mailboxes left behind now and again.
	if n := asked(); n > asks/10 {
		t.Errorf("a hungry worker asked %d times of %d", n, asks)
	}

	if err := b.Post(t.Context(), &bus.Letter{ID: "t", Component: "other", Session: "s"}); err != nil {
		t.Fatal(err)
	}

	if got := must(b.Backlog(t.Context(), "other"))(t); got.Waiting != 1 {
		t.Errorf("of a component that nobody works on %d mailboxes wait", got.Waiting)
	}

	post(t, b, "s", 0, 1)
	receive(t, "claim", began)

	if n := asked(); n < asks {
		t.Errorf("a busy worker asked %d times of %d", n, asks)
	}

	close(goOn)
	hungry(t, b)
}

// hungry waits until a worker knows that nothing waits.
func hungry(t *testing.T, b *Bus) {
	t.Helper()

	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()

	for range tick.C {
		if b.hungry(component) {
			return
		}
	}
}
