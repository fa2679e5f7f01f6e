package framework_test

import (
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
)

// TestSessionsAreApart: a tenant has two sessions. Whoever has a handle of the one, or names it, reaches nothing of the
// other, also with everything that is known of the other.
func TestSessionsAreApart(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		h := newHouse(t, open)
		a, b := h.tenant("acme"), h.tenant("acme")
		a.settle("A", canary)
		a.wait("A")
		b.settle("B", "of B")

		i := &intruder{estate: b, loot: a, reach: "t--acme--B"}
		i.tryAll(sessionAttempts(), func(session string) bool { return session == "t--acme--A" })
		a.goesOn("A")
	})
}

// sessionAttempts are those that don't say that they mean the other session. The last one takes away what is its own.
func sessionAttempts() []attempt {
	return []attempt{
		{"policies", (*intruder).postsB},
		{"a handler's turn", (*intruder).intrudes},
		{"places", (*intruder).followsB},
		{"refs", (*intruder).cancelsB},
		{"dead letters", (*intruder).forgesB},
		{"state", (*intruder).keepsB},
		{"ids that are parts of one another", (*intruder).endsOthers},
		{"the session's end", (*intruder).endsB},
	}
}

func (i *intruder) followsB() {
	for _, e := range i.loot.events {
		i.followsFrom("B", e.Cursor, func(words string) error {
			_, err := i.client.Post(i.t.Context(), framework.Post{Session: "B", Component: "echo"}, []byte(words))

			return err
		})
	}
}

func (i *intruder) cancelsB() {
	for _, ref := range i.loot.refs {
		i.must(i.client.Cancel(i.t.Context(), framework.Ref{Session: "B", Turn: ref.Turn}, "not yours"))
	}

	i.must(i.client.Cancel(i.t.Context(), framework.Ref{Session: "B"}, "not yours"))
}

// postsB posts where the other session has turns that wait.
func (i *intruder) postsB() {
	for _, policy := range []framework.PostPolicy{framework.Reject, framework.Interrupt} {
		p := framework.Post{Session: "B", Component: "nobody", ID: "t3", Policy: policy}
		_, err := i.client.Post(i.t.Context(), p, []byte("of B"))
		i.must(err)
	}
}

func (i *intruder) forgesB() {
	renamed, moved := *i.loot.letter, *i.letter
	renamed.Session, moved.Position = "B", i.loot.letter.Position

	for what, d := range map[string]*bus.DeadLetter{"renamed": &renamed, "moved": &moved} {
		if ref, err := i.client.Replay(i.t.Context(), d); !errors.Is(err, bus.ErrNotFound) {
			i.t.Errorf("a letter that was %s is replayed as %+v: %v", what, ref, err)
		}

		i.must(i.client.DropDead(i.t.Context(), d))
		i.hasLetters(what, 2)
	}
}

func (i *intruder) keepsB() {
	var kept string

	s := i.client.Session("B", "echo")
	s.ID = "A"
	i.must(s.Load(i.t.Context(), &kept))
	i.saw(kept)
	i.must(s.Save(i.t.Context(), "of B"))
}

// endsOthers ends sessions whose ids begin as the other's does, and as it is known on the bus.
func (i *intruder) endsOthers() {
	for _, id := range []string{"A1", "A-1", "A--echo", "a", "t--acme--A"} {
		i.must(i.client.Session(id, "echo").Save(i.t.Context(), "of others"))
		i.must(i.client.Sessions().End(i.t.Context(), id, "not yours"))
	}
}

func (i *intruder) endsB() {
	i.must(i.client.Sessions().End(i.t.Context(), "B", "not yours"))

	if there, err := i.client.Sessions().Get(i.t.Context(), "A"); err != nil || there.State != session.Active {
		i.t.Errorf("the other session is %s: %v", there.State, err)
	}
}
