package bustest

import (
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func restartCases() []promise {
	return []promise{
		{name: "restart/what was acknowledged is there", run: restartKeeps},
		{name: "restart/followers, watchers and workers go on", run: restartGoesOn},
	}
}

const noRestart = "nothing of this broker outlives its process"

func restartKeeps(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	s = s.alone(t)
	b := s.open(t)
	kept := keep(t, b)

	s.Restart(t, func() {})
	kept.want(t, s.open(t))
	kept.want(t, b)
	kept.goOn(t, b)
}

func restartGoesOn(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	const half, all = 30, 60

	s = s.alone(t)
	ctx := within(t)
	writing, reading, working := s.open(t), s.open(t), s.open(t)

	id, component, session, key := newStream(), newID("c"), newID("s"), newID("k")
	w, frames := newWriter(writing, id, 1), script(id, 10, all)

	set := watchFor(t, reading, key, bus.KVSet)
	got := make(chan string, 100)
	work(t, working, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l.ID }))

	mustPost(t, writing, component, session, 0, 1)
	skipTo(t, got, func(id string) bool { return id == "turn-0" })

	read, written, begun := make(chan struct{}), make(chan struct{}), make(chan struct{})

	go func() {
		defer close(read)
		s.wantTail(ctx, t, reading, id, frames)
	}()

	go func() {
		defer close(written)

		for i, f := range frames {
			if i == half {
				close(begun)
			}

			if err := w.put(ctx, f); err != nil {
				t.Errorf("frame %d: %v", i, err)

				return
			}
		}
	}()

	receive(t, "half of the frames", begun)
	s.Restart(t, func() {})
	receive(t, "writer", written)
	receive(t, "reader", read)

	mustPost(t, writing, component, session, 1, 3)
	skipTo(t, got, func(id string) bool { return id == "turn-2" })

	answer(ctx, t, func() (uint64, error) { return writing.Set(ctx, bus.Registry, key+".a", []byte("new"), 0, 0) })
	skipTo(t, set, func(e bus.KVEvent) bool { return e.Entry.Key == key+".a" && string(e.Entry.Value) == "new" })
}
