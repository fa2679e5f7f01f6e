package bustest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func fullCases() []promise {
	return []promise{
		{name: "full/nothing is stored, nothing is lost, and all goes on when there is room", run: full},
	}
}

func full(t *testing.T, s *suite) {
	if s.Fill == nil {
		t.Skip("nothing makes this broker full")
	}

	s = s.alone(t)
	b, other := s.open(t), s.open(t)
	kept, empty := keep(t, b), newWriter(b, newStream(), 1)
	component, session, key := newID("c"), newID("s"), newID("k")
	ctx := within(t)
	large := bytes.Repeat([]byte("more"), 100)

	set := func(key string, revision uint64) error {
		_, err := b.Set(ctx, bus.Sessions, key, large, revision, 0)

		return err
	}
	add := func(w *writer) error {
		_, err := b.Append(ctx, w.frame(string(large)), w.last)

		return err
	}

	post := func(component, session string, n int) error {
		l := letter(component, session, n)
		l.Body = large

		return b.Post(ctx, l)
	}
	bury := deadLetter(component, session, 0)
	bury.Body = large

	free := s.Fill(t)

	for what, err := range map[string]error{
		"append": add(kept.writer), "append to an empty log": add(empty),
		"post": post(kept.component, kept.session, kept.letters), "post to another mailbox": post(component, session, 0),
		"set": set(kept.key, kept.revision), "set a new key": set(key, 0),
		"bury": b.Bury(ctx, bury),
	} {
		wantErr(t, what, err, bus.ErrFull)
	}

	kept.want(t, other)
	wantLog(t, other, empty.id, 0)
	wantDead(t, other, component)

	if l, err := other.Peek(ctx, component, session); l != nil || err != nil {
		t.Errorf("the other mailbox holds %+v, %v", l, err)
	}

	if e, err := other.Get(ctx, bus.Sessions, key); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("the new key is %+v, %v", e, err)
	}

	free()
	kept.goOn(t, b)
}
