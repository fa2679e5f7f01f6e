package envelope_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

// TestNamedSubscriberOutlivesItsLog keeps a subscriber away while the log that its place is of expires, as a whole or in
// part, and begins anew. What is there reaches it, once, and what has expired is counted.
func TestNamedSubscriberOutlivesItsLog(t *testing.T) {
	t.Parallel()

	const age = time.Hour

	for name, test := range map[string]struct {
		missed  []time.Duration // what passes before each message that is published while the subscriber is away
		want    []string
		expired uint64
	}{
		"nothing expired": {missed: []time.Duration{0, 0}, want: []string{"away0", "away1"}},
		"the head expired": {
			missed: []time.Duration{0, age * 2 / 3, age * 2 / 3}, want: []string{"away1", "away2"}, expired: 1,
		},
		"all expired": {missed: []time.Duration{0, 2 * age}, want: []string{"away1"}},
		"it began anew, and longer": {
			missed: []time.Duration{2 * age, 0, 0, 0, 0}, want: []string{"away0", "away1", "away2", "away3", "away4"},
		},
		"it began anew, without its head": {
			missed: []time.Duration{2 * age, age * 2 / 3, age * 2 / 3}, want: []string{"away1", "away2"}, expired: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := membus.NewBroker(membus.Config{MaxAge: age})
				b := broker{func(*testing.T) bus.Bus { return shared.Open() }}
				publisher := b.messages(t, envelope.Config{})
				filter := envelope.Filter{Session: "s", Name: "audit"}

				s, got := subscribe(t, b.messages(t, envelope.Config{}), filter)
				for i := range 3 {
					publish(t, publisher, envelope.Message{Session: "s", EventType: fmt.Sprint("here", i)})
					wantNext(t, got, fmt.Sprint("here", i))
				}

				s.Close()

				for i, wait := range test.missed {
					<-time.After(wait)
					publish(t, publisher, envelope.Message{Session: "s", EventType: fmt.Sprint("away", i), TTL: 100 * age})
				}

				under := b.messages(t, envelope.Config{})
				s, got = subscribe(t, under, filter)
				wantNext(t, got, test.want...)
				publish(t, publisher, envelope.Message{Session: "s", EventType: "again"})
				wantNext(t, got, "again")

				if n := under.Stats().TimeoutFailures; n != test.expired {
					t.Errorf("%d messages are counted as expired, want %d", n, test.expired)
				}

				<-time.After(3 * age)
				publish(t, publisher, envelope.Message{Session: "s", EventType: "later"})
				wantNext(t, got, "later")
				s.Close()
			})
		})
	}
}

// TestPublishedOnceOutlivesItsLog publishes a message again, with its id, after the log that held it began anew.
func TestPublishedOnceOutlivesItsLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := membus.NewBroker(membus.Config{MaxAge: time.Hour})
		b := broker{func(*testing.T) bus.Bus { return shared.Open() }}
		publisher := b.messages(t, envelope.Config{})

		for i := range 3 {
			publish(t, publisher, envelope.Message{Session: "s", EventType: fmt.Sprint("before", i)})
		}

		once := envelope.Message{ID: "the-one", Session: "s", EventType: "once", Mode: envelope.ExactlyOnce}
		publish(t, publisher, once)
		<-time.After(2 * time.Hour)
		publish(t, publisher, envelope.Message{Session: "s", EventType: "anew"})
		publish(t, publisher, once) // its log is gone, so it is stored, once
		publish(t, publisher, once)

		s, got := subscribe(t, b.messages(t, envelope.Config{}), envelope.Filter{Session: "s", Name: "late"})
		publish(t, publisher, once)
		publish(t, publisher, envelope.Message{Session: "s", EventType: "last"})
		wantNext(t, got, "last")
		s.Close()
	})
}
