package bustest

import (
	"context"
	"strconv"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func outcomeCases() []promise {
	return []promise{
		{name: "outcome/stored but unknown", run: storedUnknown},
		{name: "outcome/neither stored nor known", run: unstoredUnknown},
		{name: "outcome/unknown, and another came first", run: unknownThenFenced},
		{name: "outcome/a frame is stored once however often it is tried", run: storedOnce, faults: true},
		{name: "outcome/a call with an ended context fails", run: endedContext},
	}
}

func storedUnknown(t *testing.T, s *suite) {
	b := Faulty(s.open(t), FaultConfig{})
	w := newWriter(b, newStream(), 1)
	w.send(t, "a")

	b.FailNext(OpAppend, bus.ErrUnknown, true)
	e := w.send(t, "b")

	same(t, "entry", e, wantLog(t, b, w.id, 2)[1])
	w.send(t, "c")
}

func unstoredUnknown(t *testing.T, s *suite) {
	b := Faulty(s.open(t), FaultConfig{})
	w := newWriter(b, newStream(), 1)

	b.FailNext(OpAppend, bus.ErrUnknown, false)
	b.FailNext(OpAppend, bus.ErrBusy, false)
	w.send(t, "a")
	wantLog(t, b, w.id, 1)
}

func unknownThenFenced(t *testing.T, s *suite) {
	b := Faulty(s.open(t), FaultConfig{})
	id := newStream()
	old, successor := newWriter(b, id, 1), newWriter(b, id, 1)
	f := old.frame("old")

	b.FailNext(OpAppend, bus.ErrUnknown, false)
	_, err := b.Append(t.Context(), f, nil)
	wantErr(t, "first try", err, bus.ErrUnknown)

	successor.send(t, "new") // The same attempt and place: only the writer's id tells them apart.

	_, err = store(t.Context(), b, f, nil)
	wantErr(t, "second try", err, bus.ErrConflict)
	wantLog(t, b, id, 1)
}

func storedOnce(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)

	for i := range 200 {
		w.send(t, strconv.Itoa(i))
	}

	wantLog(t, b, w.id, 200)
}

func endedContext(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	w.send(t, "a")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	answered := calls(b, w.last)
	delete(answered, "read")   // It may have at hand what it is asked for.
	delete(answered, "follow") // It may have nothing to wait for.

	for what, call := range answered {
		wantErr(t, what, call(ctx), context.Canceled)
	}

	wantLog(t, b, w.id, 1)
}
