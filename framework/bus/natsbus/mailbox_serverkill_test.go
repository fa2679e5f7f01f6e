//go:build unix

package natsbus

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// smallBlocks is a limit on the size of a JetStream stream that makes its store use blocks of some 30 KiB.
const smallBlocks = 120_000

// TestServerKilled kills a server that then forgets the removal of a scheduled entry, although it had confirmed it and
// although its consumer knows that the entry was acknowledged. The mailbox is served all the same.
func TestServerKilled(t *testing.T) {
	t.Parallel()

	server := runServer(t, "")
	makeSmallTurns(t, server.url)

	b := open(t, Config{URL: server.url})
	scheduled := forgettable(t, b)

	// The server notes every 100 ms what was acknowledged; without the note it would deliver the entry again.
	receive(t, "a second", time.After(time.Second))
	server.kill()
	server.start(t)

	back := must(b.msgAt(t.Context(), b.ns.TurnsStream(), scheduled))(t)
	t.Logf("the removed entry is back: %v", back != nil) // this server's flaw; without it nothing is to be revived

	post(t, b, "s", 1, 2)

	seen := make(chan string, 1)
	work(t, b, bus.WorkConfig{Lease: 300 * time.Millisecond}, each(t, func(l *bus.Letter) { seen <- l.ID }))

	if got := receive(t, "letter", seen); got != "t1" {
		t.Errorf("got letter %s", got)
	}
}

// forgettable makes a scheduled entry the last one that is removed from a block that holds a note on the removal of an
// entry in an older block, and returns its sequence. The entry was delivered and acknowledged before.
func forgettable(t *testing.T, b *Bus) uint64 {
	t.Helper()

	w := &worker{bus: b, component: component, lease: time.Second}
	if err := w.makeConsumer(t.Context()); err != nil {
		t.Fatal(err)
	}

	otherLetter(t, b, "oldest", 1) // keeps the first block
	older := otherLetter(t, b, "older", 1)

	var filling []uint64
	fill := func() {
		for range 8 {
			filling = append(filling, otherLetter(t, b, "filling", 4000))
		}
	}

	remove := func(seqs ...uint64) {
		for _, seq := range seqs {
			if err := b.deleteMsg(t.Context(), b.ns.TurnsStream(), seq); err != nil {
				t.Fatal(err)
			}
		}
	}

	fill() // the first block and the beginning of the second
	post(t, b, "s", 0, 1)
	remove(older)

	x := must(b.box(component, "s"))(t)
	scheduled := must(x.Last(t.Context()))(t).Seq

	fill() // the second block and the beginning of the third
	otherLetter(t, b, "newest", 1)
	acknowledgeNext(t, b)
	remove(filling...)
	remove(scheduled-1, scheduled) // the letter and the call

	if must(x.Last(t.Context()))(t).Seq != 0 {
		t.Fatal("the register is not empty")
	}

	return scheduled
}

// otherLetter posts a letter of a size to a component that nobody works for.
func otherLetter(t *testing.T, b *Bus, session string, size int) uint64 {
	t.Helper()

	x := must(b.box("other", session))(t)
	m := &nats.Msg{Subject: x.inbox, Data: make([]byte, size)}

	return must(b.publish(t.Context(), m))(t)
}

// makeSmallTurns makes the JetStream stream of turns with small blocks.
func makeSmallTurns(t *testing.T, url string) {
	t.Helper()

	nc := must(nats.Connect(url))(t)
	defer nc.Close()

	cfg := turnsConfig(must(subjects.New(subjects.DefaultApp, subjects.DefaultShards))(t), 1)
	cfg.MaxBytes = smallBlocks
	must(must(jetstream.New(nc))(t).CreateStream(t.Context(), cfg))(t)
}
