package framework_test

import (
	"context"
	"errors"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// patience is how long a turn may take on a machine that is busy with others.
const patience = time.Minute

// estate is what a tenant has, and all that its client was told of it.
type estate struct {
	*house

	client *framework.Client
	words  string

	refs    []framework.Ref
	writers []*stream.Writer
	// of the session that it settled in last
	events []stream.SessionEvent
	letter *bus.DeadLetter
	record session.Session
}

func (h *house) tenant(name string) *estate {
	h.t.Helper()

	cfg := h.open()
	cfg.Tenant = name

	return &estate{house: h, client: connect(h.t, cfg)}
}

// settle gives a session a turn that was answered, one that was set aside, state, metadata and a cancel.
func (e *estate) settle(id, words string) {
	e.t.Helper()

	ctx := e.t.Context()
	e.words = words

	e.post(framework.Post{Session: id, Component: "echo", ID: "t1"}, "say "+words)
	e.answers(id, 1)
	e.post(framework.Post{Session: id, Component: "echo", ID: "t2"}, "break "+words)
	e.events = e.answers(id, 2)
	e.must(e.client.Cancel(ctx, framework.Ref{Session: id, Turn: "t1"}, words))

	var err error

	e.record, err = e.client.Sessions().Update(ctx, id, func(s *session.Session) error {
		s.Metadata = map[string]string{"note": words}

		return nil
	})
	e.must(err)

	for d, err := range e.client.DeadLetters(ctx, "echo") {
		e.must(err)

		if d.Session == id {
			e.letter = d
		}
	}

	if e.letter == nil || e.letter.Session != id {
		e.t.Fatalf("session %s has no dead letter", id)
	}
}

func (e *estate) post(p framework.Post, words string) {
	e.t.Helper()

	ref, err := e.client.Post(e.t.Context(), p, []byte(words))
	e.must(err)

	e.refs = append(e.refs, ref)
}

// answers reads a session until so many answers of echo have ended, and waits until it is done with them.
func (e *estate) answers(id string, n int) []stream.SessionEvent {
	e.t.Helper()

	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()

	var events []stream.SessionEvent

	f, err := e.client.Follow(e.t.Context(), stream.FollowConfig{Session: id, All: true})
	e.must(err)
	defer f.Close()

	for n > 0 {
		event, err := f.Next(ctx)
		e.must(err)

		events = append(events, event)
		if event.Event.Kind == stream.KindEnd && event.Info.Component == "echo" {
			n--
		}
	}

	name, err := e.client.Sessions().Name(id)
	e.must(err)

	for {
		l, err := e.raw.Peek(e.t.Context(), "echo", name)
		e.must(err)

		if l == nil {
			return events
		}
	}
}

// wait posts turns to a component that nobody runs: one with its input, and one whose input is still being written.
func (e *estate) wait(id string) {
	e.t.Helper()

	e.post(framework.Post{Session: id, Component: "nobody", ID: "t3"}, e.words)

	w, ref, err := e.client.Open(e.t.Context(), framework.Post{Session: id, Component: "nobody", ID: "t4"})
	e.must(err)
	e.must(errors.Join(w.Send(e.t.Context(), []byte(e.words)), w.Flush(e.t.Context())))

	e.refs, e.writers = append(e.refs, ref), append(e.writers, w)
}

// goesOn checks that the tenant's own calls find everything, and that its writers were not fenced.
func (e *estate) goesOn(id string) {
	e.t.Helper()

	ctx := e.t.Context()

	for _, w := range e.writers {
		if err := errors.Join(w.Send(ctx, []byte("more")), w.Close(ctx)); err != nil {
			e.t.Errorf("go on writing: %v", err)
		}
	}

	f, err := e.client.Follow(ctx, stream.FollowConfig{Session: id})
	e.must(err)
	defer f.Close()

	var state string
	e.must(e.client.Session(id, "echo").Load(ctx, &state))

	there, err := e.client.Sessions().Get(ctx, id)
	e.must(err)

	if got, want := text(e.t, f), "say "+e.words; got != want || state != want || there.Metadata["note"] != e.words {
		e.t.Errorf("the answer is %q, the state %q, the session %+v", got, state, there)
	}

	again, err := e.client.Replay(ctx, e.letter)
	if err != nil || again.Session != id {
		e.t.Errorf("replayed as %+v: %v", again, err)
	}
}
