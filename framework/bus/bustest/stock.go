package bustest

import (
	"context"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// stock is one of everything that a bus keeps, for the cases that ask whether it is still there.
type stock struct {
	writer                  *writer
	component, session, key string
	revision                uint64
	letters                 int
}

// keep stores one of everything.
func keep(t *testing.T, b bus.Bus) *stock {
	t.Helper()

	k := &stock{
		writer: newWriter(b, newStream(), 1), component: newID("c"), session: newID("s"), key: newID("k"), letters: 2,
	}

	for range 3 {
		k.writer.send(t, "kept", "for ever")
	}

	mustPost(t, b, k.component, k.session, 0, k.letters)
	mustBury(t, b, deadLetter(k.component, k.session, 0))

	k.revision = must[uint64](t)(b.Set(t.Context(), bus.Sessions, k.key, []byte("old"), 0, 0))
	k.revision = must[uint64](t)(b.Set(t.Context(), bus.Sessions, k.key, []byte("kept"), k.revision, 0))

	return k
}

// want checks that everything is there and nothing else.
func (k *stock) want(t *testing.T, b bus.Bus) {
	t.Helper()

	ctx := within(t)

	e := answer(ctx, t, func() (bus.KVEntry, error) { return b.Get(ctx, bus.Sessions, k.key) })
	same(t, "key", bus.KVEntry{Key: k.key, Value: []byte("kept"), Revision: k.revision}, e)

	l := answer(ctx, t, func() (*bus.Letter, error) { return b.Peek(ctx, k.component, k.session) })
	if l == nil || l.ID != letter(k.component, k.session, 0).ID {
		t.Errorf("the oldest letter is %+v", l)
	}

	same(t, "last entry", k.writer.last, wantLog(t, b, k.writer.id, 3)[2])
	wantDead(t, b, k.component, "turn-0")
}

// goOn checks that more of everything can be stored, and that the letters are given out in order.
func (k *stock) goOn(t *testing.T, b bus.Bus) {
	t.Helper()

	ctx := within(t)

	k.writer.send(t, "more")
	wantLog(t, b, k.writer.id, 4)
	mustPost(t, b, k.component, k.session, k.letters, k.letters+1)
	mustBury(t, b, deadLetter(k.component, k.session, 1))
	wantDead(t, b, k.component, "turn-0", "turn-1")

	_, err := b.Set(ctx, bus.Sessions, k.key, []byte("more"), k.revision, 0)
	for errors.Is(err, bus.ErrUnknown) && pause(ctx) {
		_, err = b.Set(ctx, bus.Sessions, k.key, []byte("more"), 0, 0)
	}

	e := answer(ctx, t, func() (bus.KVEntry, error) { return b.Get(ctx, bus.Sessions, k.key) })
	if string(e.Value) != "more" {
		t.Errorf("the key is %q, set: %v", e.Value, err)
	}

	var got []*bus.Letter

	all := make(chan struct{})
	stop := work(t, b, k.component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) {
		if got = append(got, l); l.ID == letter(k.component, k.session, k.letters).ID {
			close(all)
		}
	}))

	receive(t, "letters", all)

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	inOrder(t, k.session, got, k.letters+1)
}

// answer asks until the bus answers.
func answer[T any](ctx context.Context, t *testing.T, ask func() (T, error)) T {
	t.Helper()

	v, err := ask()
	for errors.Is(err, bus.ErrUnknown) && pause(ctx) {
		v, err = ask()
	}

	if err != nil {
		t.Fatal(err)
	}

	return v
}
