package bustest

import (
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func peek(t *testing.T, s *suite) {
	b := s.open(t)
	component, session := newID("c"), newID("s")

	sees := func(want *bus.Letter) {
		t.Helper()

		got, err := b.Peek(t.Context(), component, session)
		if err != nil {
			t.Fatal(err)
		}

		if want != nil && got != nil {
			want.Position = got.Position
		}

		same(t, "letter", want, got)
	}

	sees(nil)
	mustPost(t, s.open(t), component, session, 0, 2)
	mustPost(t, b, newID("c"), session, 2, 3)
	mustPost(t, b, component, newID("s"), 3, 4)
	sees(letter(component, session, 0))

	begun, goOn := make(chan string, 2), make(chan struct{}, 2)
	stop := work(t, s.open(t), component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) {
		if l.Session != session {
			return
		}

		begun <- l.ID

		select {
		case <-goOn:
		case <-t.Context().Done():
		}
	}))

	for i := range 2 {
		want := letter(component, session, i).ID
		skipTo(t, begun, func(id string) bool {
			if id != want { // the one before, again
				goOn <- struct{}{}
			}

			return id == want
		})

		sees(letter(component, session, i)) // also while it is worked on
		goOn <- struct{}{}
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	sees(nil)

	if _, err := b.Peek(t.Context(), "a b", session); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("peek into a component that can't be: %v", err)
	}
}
