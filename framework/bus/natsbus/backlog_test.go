package natsbus

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// What waits is bounded in bytes, however few the frames are, and those that are being delivered count.
func TestBacklogIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	one, other := &nats.Subscription{}, &nats.Subscription{}
	b := newBacklog(most)
	push := func(sub *nats.Subscription, times, size int) {
		for range times {
			b.push(&nats.Msg{Sub: sub, Data: make([]byte, size)})
		}
	}

	push(one, 1, 2*most) // fits alone
	push(other, 3, 100)
	frames, dropped := b.take(nil)
	if len(frames) != 1 || len(dropped) != 1 || dropped[0] != other {
		t.Errorf("%d frames and %d subscriptions whose frames were dropped", len(frames), len(dropped))
	}

	push(one, 1, 100) // the large one is being delivered
	if frames, dropped = b.take(frames); len(frames) != 0 || len(dropped) != 1 || dropped[0] != one {
		t.Errorf("%d frames and %d subscriptions while the large one is delivered", len(frames), len(dropped))
	}

	b = newBacklog(most)
	for range 3 {
		push(one, 20, most/10)
		frames, dropped = b.take(frames)
		if len(frames) != 9 || len(dropped) != 1 {
			t.Errorf("%d frames of a tenth, %d subscriptions; want 9 and 1", len(frames), len(dropped))
		}
		frames, _ = b.take(frames)
	}

	if b.bytes != 0 || len(b.waiting) != 0 {
		t.Errorf("%d bytes of %d frames are left", b.bytes, len(b.waiting))
	}
}
