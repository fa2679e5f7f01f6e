package bustest

import (
	"context"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func closeCases() []promise {
	return []promise{
		{name: "close/later calls fail", run: closedFails},
		{name: "close/ends calls in progress", run: closeEndsCalls},
		{name: "close/again and again with everything in progress", run: closeWhileBusy},
		{name: "close/leaves other connections alone", run: closeApart},
		{name: "close/what was acknowledged stays", run: closeKeeps},
	}
}

func closedFails(t *testing.T, s *suite) {
	b := s.open(t)
	e := newWriter(b, newStream(), 1).send(t, "a")

	for range 2 {
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}

	for name, call := range calls(b, e) {
		wantErr(t, name, call(t.Context()), bus.ErrClosed)
	}

	wantErr(t, "work", workErr(t.Context(), b, newID("c")), bus.ErrClosed)
	wantErr(t, "watch", watchErr(t.Context(), b, bus.Sessions, newID("k")), bus.ErrClosed)

	if b.Info().Kind == "" {
		t.Error("a closed bus forgot what it is")
	}
}

// busy is a connection with a call in progress of each kind that takes long.
type busy struct {
	work, watch <-chan error
	serve       <-chan handed
	stop        func()
}

func (s *suite) keepBusy(t *testing.T, b bus.Bus, component, session string) busy {
	t.Helper()

	working, watching, synced, serving := make(chan error, 1), make(chan error, 1), make(chan struct{}), make(chan handed, 1)
	ctx := t.Context()

	go func() {
		working <- b.Work(ctx, component, bus.WorkConfig{Lease: s.features.Lease}, func(ctx context.Context, c bus.Claim) {
			h := handed{ctx: ctx, claim: c, done: make(chan struct{})}
			serving <- h

			select {
			case <-h.done:
			case <-ctx.Done():
			}
		})
	}()

	go func() {
		var end error

		for e, err := range b.Watch(ctx, bus.Sessions, session) {
			if end = err; e.Kind == bus.KVSynced {
				close(synced)
			}
		}

		watching <- end
	}()

	receive(t, "synced", synced)

	stop := must[func()](t)(b.Follow(ctx, bus.StreamID{Session: session, Stream: "s"}, func(*bus.Entry) {}))

	return busy{work: working, watch: watching, serve: serving, stop: stop}
}

func closeEndsCalls(t *testing.T, s *suite) {
	b, component, session := s.open(t), newID("c"), newID("s")
	mustPost(t, b, component, session, 0, 1)

	calls := s.keepBusy(t, b, component, session)
	h := receive(t, "mailbox", calls.serve)

	if l, err := h.next(); err != nil || l.ID != "turn-0" {
		t.Fatalf("next letter is %+v, %v", l, err)
	}

	if err := b.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	wantErr(t, "work", receive(t, "end of Work", calls.work), bus.ErrClosed)
	wantErr(t, "watch", receive(t, "end of the watch", calls.watch), bus.ErrClosed)

	if _, err := h.claim.Next(t.Context()); !errors.Is(err, bus.ErrClosed) && !errors.Is(err, bus.ErrLost) {
		t.Errorf("next letter: %v", err)
	}

	calls.stop() // After the bus it had been followed on.
}

func closeApart(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	w := newWriter(two, newStream(), 1)
	got := make(chan *bus.Entry, 8)
	stop := must[func()](t)(two.Follow(t.Context(), w.id, func(e *bus.Entry) { got <- e }))
	defer stop()

	if err := one.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	same(t, "delivered", w.send(t, "a"), receive(t, "delivery", got))
}

func closeKeeps(t *testing.T, s *suite) {
	b, component, key := s.open(t), newID("c"), newID("k")
	w := newWriter(b, newStream(), 1)
	w.send(t, "a")
	w.end(t)
	mustPost(t, b, component, "s", 0, 1)
	rev := must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, []byte("v"), 0, 0))

	if err := b.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	b = s.open(t)
	wantLog(t, b, w.id, 2)

	if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)); e.Revision != rev {
		t.Errorf("revision is %d, was %d", e.Revision, rev)
	}

	got := make(chan *bus.Letter, 2)
	work(t, b, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l }))
	receive(t, "letter", got)
}

// closeWhileBusy leaves nothing behind: the caller of Run has goleak look for it.
func closeWhileBusy(t *testing.T, s *suite) {
	for range 5 {
		component, session := newID("c"), newID("s")
		b := s.Open(t)
		mustPost(t, b, component, session, 0, 1)

		calls := s.keepBusy(t, b, component, session)
		h := receive(t, "mailbox", calls.serve)
		newWriter(b, bus.StreamID{Session: session, Stream: newID("s")}, 1).send(t, "a")

		l, err := h.next()
		if err == nil {
			err = h.claim.Done(t.Context(), l)
		}

		if err == nil {
			err = h.claim.Release(t.Context(), 0)
		}

		if err != nil && !errors.Is(err, bus.ErrLost) && !errors.Is(err, bus.ErrUnknown) {
			t.Error(err)
		}

		close(h.done)

		for range 2 {
			if err := b.Close(t.Context()); err != nil {
				t.Errorf("close: %v", err)
			}
		}

		wantErr(t, "work", receive(t, "end of Work", calls.work), bus.ErrClosed)
		wantErr(t, "watch", receive(t, "end of the watch", calls.watch), bus.ErrClosed)
	}
}
