package framework_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// intruder is a tenant who tries to reach what is another one's.
type intruder struct {
	*estate

	loot  *estate // the other's
	reach string  // what its sessions on the bus begin with
	now   string  // what is tried
	said  int     // how many turns it has posted to hear of them
}

// names are ids that could mean a session of acme's on the bus.
func names() []string {
	return []string{
		"A", "B", "a", "t--acme--A", "t--acme--B", "t--acme--a", "T--acme--A", "t--ACME--A", "acme--A", "--acme--A",
		"-acme--A", "acme-A", "t--acme--", "t--acme", "e--t--acme--A", "t--beta--A", "_session", "_timeline", "_app",
		strings.Repeat("A", subjects.MaxID), "", "..", "../A", "../t--acme--A", "*", ">", "t--acme--*", "t--acme--A.>",
		"t--acme--A.echo", "acme.t--acme--A", "t--acme--A/t1", "t--acme--A:t1", "{t--acme--A}", "t--acme--A\x00", "t--acme--?",
	}
}

// each tries something with every name. With one that is no id it must fail as such; every other one means a session of
// its own, or none, or is reserved.
func (i *intruder) each(try func(id string) error) {
	i.t.Helper()

	for _, id := range names() {
		err := try(id)
		i.saw(err)

		expected := err == nil || errors.Is(err, bus.ErrNotFound) || subjects.Reserved(id) && refused(err)
		if !subjects.ValidID(id) {
			expected = refused(err)
		}

		if !expected {
			i.t.Errorf("%s with %q: %v", i.now, id, err)
		}
	}
}

// refused reports whether a call failed because of what it was asked.
func refused(err error) bool {
	return errors.Is(err, subjects.ErrInvalid) || errors.Is(err, bus.ErrInvalid)
}

// saw checks what the intruder was told.
func (i *intruder) saw(what ...any) {
	i.t.Helper()

	for _, one := range what {
		if got := fmt.Sprintf("%+s", one); strings.Contains(got, canary) {
			i.t.Errorf("%s: it was told %s", i.now, got)
		}
	}
}

// own checks that a session's name on the bus is the intruder's.
func (i *intruder) own(name string) {
	i.t.Helper()

	if !strings.HasPrefix(name, i.reach) {
		i.t.Errorf("%s: it reached session %q", i.now, name)
	}
}

// hears follows a session, says something in it and checks that the answer to that is all that comes from others.
func (i *intruder) hears(cfg stream.FollowConfig, say func(words string) error) error {
	i.t.Helper()

	f, err := i.client.Follow(i.t.Context(), cfg)
	if err != nil {
		return err
	}
	defer f.Close()

	i.said++
	words := fmt.Sprint("say ", i.said)

	if err := say(words); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(i.t.Context(), patience)
	defer cancel()

	for answer := ""; answer != words; {
		e, err := f.Next(ctx)
		if ctx.Err() != nil {
			i.t.Fatalf("%s: it does not hear its own words in %q", i.now, cfg.Session)
		}

		if err != nil {
			return err
		}

		i.saw(e)

		switch {
		case e.Info.Component != "echo":
		case e.Event.Kind == stream.KindOpened:
			answer = ""
		case e.Event.Kind == stream.KindChunk:
			answer += string(e.Event.Chunk.Data)
		}
	}

	return nil
}

func clientAttempts() []attempt {
	return []attempt{
		{"framework.Client.Post framework.Post.Session framework.Post.ID framework.Post.Component", (*intruder).posts},
		{"framework.Client.Post framework.Post.Policy", (*intruder).rejects},
		{"framework.Client.Open stream.Writer.Send stream.Writer.Close stream.Writer.ID", (*intruder).opens},
		{"framework.Client.Open stream.Writer.Partial stream.Writer.Before", (*intruder).opensAgain},
		{"framework.Client.Post framework.Post.Policy framework.Post.ID", (*intruder).interrupts},
		{"framework.Client.Cancel framework.Ref.Session framework.Ref.Turn", (*intruder).cancels},
		{
			"framework.Client.Follow stream.Follower.Next stream.FollowConfig.Session stream.FollowConfig.From " +
				"stream.FollowConfig.Turn stream.FollowConfig.All stream.FollowConfig.Targets stream.FollowConfig.New " +
				"stream.SessionCursor.Position stream.SessionCursor.Life stream.SessionCursor.Cursor " +
				"bus.Cursor.Attempt bus.Cursor.Index bus.Cursor.Life",
			(*intruder).follows,
		},
		{"framework.Client.Session framework.Session.Load framework.Session.Save framework.UpdateState", (*intruder).keeps},
		{"framework.Client.Registry framework.Client.Breakers framework.Client.Info", (*intruder).looksAround},
	}
}

// posts posts to what could be acme's sessions, with the ids of acme's turns.
func (i *intruder) posts() {
	i.each(func(id string) error {
		return i.hears(stream.FollowConfig{Session: id}, func(words string) error {
			ref, err := i.client.Post(i.t.Context(), framework.Post{Session: id, Component: "echo"}, []byte(words))
			i.saw(ref)

			return err
		})
	})

	i.each(func(id string) error {
		p := framework.Post{Session: id, Component: "echo", ID: "t3"} // which waits in acme's
		ref, err := i.client.Post(i.t.Context(), p, []byte("say nothing"))
		i.saw(ref)

		return err
	})

	for _, id := range names() { // as parts of the id of a turn and of a component
		for _, p := range []framework.Post{
			{Session: "A", Component: "echo", ID: id + "*"}, {Session: "A", Component: id + ".A"},
		} {
			if _, err := i.client.Post(i.t.Context(), p, nil); !refused(err) {
				i.t.Errorf("%s: posted as %+v: %v", i.now, p, err)
			}
		}
	}
}

// rejects posts to a component that holds turns of acme's, which are not in the way.
func (i *intruder) rejects() {
	i.each(func(id string) error {
		p := framework.Post{Session: id, Component: "nobody", ID: "alone", Policy: framework.Reject}
		_, err := i.client.Post(i.t.Context(), p, []byte("say nothing"))

		return err
	})
}

// interrupts posts instead of what acme is writing.
func (i *intruder) interrupts() {
	for _, policy := range []framework.PostPolicy{framework.Interrupt, framework.Queue} {
		i.each(func(id string) error {
			p := framework.Post{Session: id, Component: "nobody", ID: "t4", Policy: policy}
			_, err := i.client.Post(i.t.Context(), p, []byte("say nothing"))

			return err
		})
	}
}

func (i *intruder) opens() {
	i.each(func(id string) error {
		return i.hears(stream.FollowConfig{Session: id, New: true}, func(words string) error {
			w, ref, err := i.client.Open(i.t.Context(), framework.Post{Session: id, Component: "echo"})
			if err != nil {
				return err
			}

			i.own(w.ID().Session)
			i.saw(ref)

			return errors.Join(w.Send(i.t.Context(), []byte(words)), w.Close(i.t.Context()))
		})
	})
}

// opensAgain opens the turn whose input acme is writing.
func (i *intruder) opensAgain() {
	i.each(func(id string) error {
		w, ref, err := i.client.Open(i.t.Context(), framework.Post{Session: id, Component: "nobody", ID: "t4"})
		if err != nil {
			return err
		}
		defer w.Abandon()

		i.own(w.ID().Session)

		partial, err := w.Partial(i.t.Context())
		i.saw(ref, partial, w.Before(), w.Trace())

		return err
	})
}

func (i *intruder) cancels() {
	for _, ref := range i.loot.refs {
		i.must(i.client.Cancel(i.t.Context(), ref, "not yours"))
	}

	i.each(func(id string) error {
		return errors.Join(
			i.client.Cancel(i.t.Context(), framework.Ref{Session: id, Turn: "t4"}, "not yours"),
			i.client.Cancel(i.t.Context(), framework.Ref{Session: id}, "not yours"),
		)
	})
}

// follows reads from the beginning, from every place that acme's client was told of, and what belongs to acme's turns.
func (i *intruder) follows() {
	posting := func(p framework.Post) func(words string) error {
		return func(words string) error {
			_, err := i.client.Post(i.t.Context(), p, []byte(words))

			return err
		}
	}

	i.each(func(id string) error {
		return i.hears(stream.FollowConfig{Session: id, All: true}, posting(framework.Post{Session: id, Component: "echo"}))
	})

	i.each(func(id string) error {
		if id == "A" || id == "B" {
			id += "1" // where the intruder has no such turn of its own
		}

		p := framework.Post{Session: id, Component: "echo", ID: "t1"}

		return i.hears(stream.FollowConfig{Session: id, Turn: "t1", Targets: []string{"", "echo"}}, posting(p))
	})

	for _, id := range []string{"A", "t--acme--A"} {
		for _, e := range i.loot.events {
			i.followsFrom(id, e.Cursor, posting(framework.Post{Session: id, Component: "echo"}))
		}
	}
}

// followsFrom tries a cursor of another session. It names the lives of that one's logs and is refused; without them it counts
// the streams and chunks of the session that it is used in.
func (i *intruder) followsFrom(session string, from stream.SessionCursor, post func(words string) error) {
	i.t.Helper()

	cfg := stream.FollowConfig{Session: session, From: from, All: true}
	if err := i.hears(cfg, post); !errors.Is(err, stream.ErrExpired) {
		i.t.Errorf("follow %s from another session's cursor: %v, want ErrExpired", session, err)
	}

	cfg.From.Life, cfg.From.Cursor.Life = "", ""
	i.must(i.hears(cfg, post))
}

// keeps tries acme's state.
func (i *intruder) keeps() {
	ctx := i.t.Context()

	keep := func(session, component string) error {
		var kept string

		s := i.client.Session(session, component)
		s.ID = "t--acme--A" // by which it is not found
		err := s.Load(ctx, &kept)
		i.saw(kept)

		err = errors.Join(err, framework.UpdateState(ctx, s, func(v *string) error { i.saw(*v); *v = "beta"; return nil }))

		return errors.Join(err, s.Load(ctx, &kept), s.Save(ctx, "beta"))
	}

	i.each(func(id string) error { return keep(id, "echo") })
	i.each(func(id string) error { return keep("A", id) })
}

// looksAround lists what belongs to no session.
func (i *intruder) looksAround() {
	r, err := i.client.Registry(i.t.Context())
	i.must(err)

	for _, instance := range r.Find(registry.Query{}) {
		i.saw(instance)
	}

	i.saw(i.client.Breakers().Statuses(), i.client.Info())
}
