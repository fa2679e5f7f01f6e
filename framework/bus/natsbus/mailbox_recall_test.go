package natsbus

import (
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus/internal/mailbox"
)

// TestRecalled strands a letter as a cleaning does that goes on after its server was killed: the server brings back an
// acknowledged entry that says that a worker was called, a poster relies on it, and then it is removed once more.
func TestRecalled(t *testing.T) {
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
	post(t, b, "s", 0, 1)

	if err := x.Delete(t.Context(), seq); err != nil {
		t.Fatal(err)
	}

	seen := make(chan string, 1)
	work(t, b, bus.WorkConfig{Lease: 300 * time.Millisecond}, each(t, func(l *bus.Letter) { seen <- l.ID }))

	if got := receive(t, "the letter", seen); got != "t0" {
		t.Errorf("got letter %s", got)
	}
}

// TestRecallLeavesWorkAlone looks at letters, in more than one look, while all are worked on or wait.
func TestRecallLeavesWorkAlone(t *testing.T) {
	t.Parallel()

	b := single(t)
	w := &worker{bus: b, component: component, lease: time.Second}

	post(t, b, "s0", 0, recallMost-1)
	post(t, b, "s1", recallMost, recallMost+20)

	before := turnsHeld(t, b)
	from := uint64(1)

	for range 3 {
		var err error
		if from, err = w.recall(t.Context(), from); err != nil {
			t.Fatal(err)
		}
	}

	if from <= 1 {
		t.Error("the third look does not go on behind the second one, which was at the end")
	}

	if after := turnsHeld(t, b); after != before {
		t.Errorf("%d entries became %d", before, after)
	}
}
