package natsbus

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/chaos/proxy"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// stalled opens a bus behind a proxy, and one beside it that nothing disturbs.
func stalled(t *testing.T) (*Bus, *Bus, *proxy.Proxy) {
	t.Helper()

	url := embeddedtest.Run(t).URL()
	p := must(proxy.Listen(t.Context(), strings.TrimPrefix(url, "nats://")))(t)
	t.Cleanup(p.Close)
	cfg := Config{URL: "nats://" + p.Addr(), AppendTimeout: time.Second, DialTimeout: patience}
	other := open(t, Config{URL: url})
	b := open(t, cfg)
	t.Cleanup(p.Heal) // before the buses are closed

	return b, other, p
}

// freeze makes the server take nothing more, and sends more than the connection holds.
func freeze(t *testing.T, b *Bus, p *proxy.Proxy) <-chan error {
	t.Helper()

	const many, size = 40, 900 << 10

	p.Stall(proxy.Up)
	p.Stall(proxy.Down)

	outcomes := make(chan error, many)
	body := bytes.Repeat([]byte("x"), size)

	for i := range many {
		go func() {
			f := frame(testID(i), 0, "")
			f.Body, f.Lengths = body, []int{len(body)}
			_, err := b.Append(context.WithoutCancel(t.Context()), f, nil)
			outcomes <- err
		}()
	}

	return outcomes
}

// TestClaimEndsWithItsLease lets a server take nothing while a process has more to send than the connection holds: renewals
// of leases wait behind it then. The process must know that its claim is lost about when another one gets the mailbox.
func TestClaimEndsWithItsLease(t *testing.T) {
	t.Parallel()

	const lease, slack = 1200 * time.Millisecond, time.Second

	one, two, p := stalled(t)
	has, lost, again := make(chan struct{}), make(chan time.Time, 1), make(chan time.Time, 1)

	work(t, one, bus.WorkConfig{Lease: lease}, func(ctx context.Context, c bus.Claim) {
		_, _ = c.Next(ctx)
		close(has)
		<-ctx.Done()
		lost <- time.Now()
	})
	post(t, two, "s", 0, 1)
	<-has
	freeze(t, one, p)
	work(t, two, bus.WorkConfig{Lease: lease}, each(t, func(*bus.Letter) { again <- time.Now() }))

	if late := (<-lost).Sub(<-again); late > slack {
		t.Errorf("the first worker knew that it has lost the claim %v after another one had the letter", late)
	}
}

// TestAppendsEndWhereNothingIsTaken expects every append to come back within the bound of a stalled connection and its own.
func TestAppendsEndWhereNothingIsTaken(t *testing.T) {
	t.Parallel()

	b, _, p := stalled(t)
	begun := time.Now()
	outcomes := freeze(t, b, p)

	for range cap(outcomes) {
		if err := <-outcomes; err != nil && !errors.Is(err, bus.ErrUnknown) {
			t.Errorf("append: %v, want %v", err, bus.ErrUnknown)
		}
	}

	if took, most := time.Since(begun), writeStall+b.cfg.AppendTimeout+2*time.Second; took > most {
		t.Errorf("appends came back after %v, want at most %v", took, most)
	}

	p.Heal()

	if _, err := b.Last(t.Context(), testID(1000)); err != nil {
		t.Errorf("after the stall: %v", err)
	}
}
