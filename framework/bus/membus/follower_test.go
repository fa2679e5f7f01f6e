package membus

import (
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	t.Parallel()

	const queue = 4

	b := New(Config{Queue: queue})
	id := bus.StreamID{Session: "s", Stream: "t"}
	got, entered, goOn := make(chan *bus.Entry, 100), make(chan struct{}, 100), make(chan struct{})

	stop, err := b.Follow(t.Context(), id, func(e *bus.Entry) {
		entered <- struct{}{}
		<-goOn
		got <- e
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()

	last := fill(t, b, id, nil, 1)
	<-entered // From now on everything is queued.

	last = fill(t, b, id, last, 20) // The writer is not held up.
	close(goOn)

	for i := range 1 + queue {
		if e := <-got; e == nil || e.First != uint64(i) {
			t.Errorf("delivery %d is %v", i, e)
		}
	}

	if e := <-got; e != nil {
		t.Errorf("delivery after the queue overflowed is %v, want none", e)
	}

	want := fill(t, b, id, last, 1)
	if e := <-got; e != want {
		t.Errorf("delivery after what was missed is %v, want %v", e, want)
	}
}

func TestIdleFollowersHoldLittle(t *testing.T) {
	t.Parallel()

	b := New(Config{})
	id := bus.StreamID{Session: "s", Stream: "t"}
	f := &follower{broker: b.broker, id: id, limit: 1000, deliver: func(*bus.Entry) {}}

	b.broker.follow(f)
	fill(t, b, id, nil, 1000)
	f.wg.Wait() // The goroutine ends by itself.

	if f.running || cap(f.queue) > idleQueue || cap(f.spare) > idleQueue {
		t.Errorf("idle follower is running: %v, keeps room for %d and %d entries", f.running, cap(f.queue), cap(f.spare))
	}

	f.stop()
}

func TestFollowOnABusThatIsBeingClosed(t *testing.T) {
	t.Parallel()

	b := New(Config{})
	f := &follower{broker: b.broker, id: bus.StreamID{Session: "s", Stream: "t"}, limit: 1}
	f.stop() // As Close does when it comes between the two steps of Follow.
	b.broker.follow(f)

	if j := b.broker.journal(f.id); j != nil && len(j.followers) != 0 {
		t.Error("a stopped follower is followed for")
	}
}
