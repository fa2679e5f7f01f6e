package framework_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func deadAttempts() []attempt {
	const named = " bus.Letter.ID bus.Letter.Component bus.Letter.Session bus.Letter.Position bus.Position.Major " +
		"bus.Position.Minor"

	return []attempt{
		{"framework.Client.DeadLetters", (*intruder).listsDead},
		{"framework.Client.DropDead" + named, (*intruder).dropsDead},
		{"framework.Client.Replay" + named, (*intruder).replaysDead},
		{"framework.Client.Replay bus.Letter.Body bus.Letter.Trace bus.Letter.Deliveries bus.DeadLetter.Input " +
			"bus.DeadLetter.InputType bus.DeadLetter.Truncated bus.DeadLetter.Reason bus.DeadLetter.At " +
			"bus.DeadLetter.Attempts bus.DeadAttempt.Attempt bus.DeadAttempt.Instance bus.DeadAttempt.Reason " +
			"bus.DeadAttempt.At", (*intruder).replaysOther},
	}
}

func (i *intruder) listsDead() {
	for _, component := range []string{"", "echo"} {
		found := 0

		for d, err := range i.client.DeadLetters(i.t.Context(), component) {
			i.must(err)
			i.saw(*d)

			found++
		}

		if found != 2 {
			i.t.Errorf("%s: component %q has %d dead letters, want 2", i.now, component, found)
		}
	}
}

// forged are dead letters that are none of the intruder's: acme's, under each name, and its own and acme's with places,
// turns and components of others.
func (i *intruder) forged() map[string]bus.DeadLetter {
	mine, theirs := *i.letter, *i.loot.letter
	all := map[string]bus.DeadLetter{"acme's": theirs}

	change := func(what string, d bus.DeadLetter, change func(*bus.DeadLetter)) {
		change(&d)

		all[what] = d
	}

	for _, id := range names() {
		change(fmt.Sprintf("acme's, of session %q", id), theirs, func(d *bus.DeadLetter) { d.Session = id })

		if id != mine.Session {
			change(fmt.Sprintf("its own, of session %q", id), mine, func(d *bus.DeadLetter) { d.Session = id })
		}
	}

	change("its own, with acme's place", mine, func(d *bus.DeadLetter) { d.Position = theirs.Position })
	change("its own, with no place", mine, func(d *bus.DeadLetter) { d.Position = bus.Position{} })
	change("its own, of another turn", mine, func(d *bus.DeadLetter) { d.ID = "t1" })
	change("its own, of another component", mine, func(d *bus.DeadLetter) { d.Component = "nobody" })

	for n := range uint64(10) {
		if at := (bus.Position{Major: mine.Position.Major, Minor: n}); at != mine.Position {
			change(fmt.Sprint("its own, with place ", n), mine, func(d *bus.DeadLetter) { d.Position = at })
		}
	}

	return all
}

// dropsDead drops what is forged. Nothing of its own is dropped either.
func (i *intruder) dropsDead() {
	forged := i.forged()
	for _, what := range slices.Sorted(maps.Keys(forged)) {
		d := forged[what]
		i.saw(i.client.DropDead(i.t.Context(), &d))
		i.hasLetters(what, 2)
	}
}

func (i *intruder) replaysDead() {
	forged := i.forged()
	for _, what := range slices.Sorted(maps.Keys(forged)) {
		d := forged[what]

		ref, err := i.client.Replay(i.t.Context(), &d)
		i.saw(err)

		if err == nil {
			i.t.Errorf("%s: it replayed %s as %+v", i.now, what, ref)
		}

		i.hasLetters(what, 2)
	}
}

// hasLetters checks how many dead letters are there of the intruder's own.
func (i *intruder) hasLetters(after string, want int) {
	i.t.Helper()

	found := 0

	for _, err := range i.client.DeadLetters(i.t.Context(), "echo") {
		i.must(err)

		found++
	}

	if found != want {
		i.t.Fatalf("%s: %d dead letters of its own are left, want %d, after %s", i.now, found, want, after)
	}
}

// replaysOther replays a letter of its own in which everything else is acme's: what is stored is replayed.
func (i *intruder) replaysOther() {
	d := *i.loot.letter
	d.Position = i.letter.Position

	f, err := i.client.Follow(i.t.Context(), stream.FollowConfig{Session: "A", New: true})
	i.must(err)
	defer f.Close()

	_, err = i.client.Replay(i.t.Context(), &d)
	i.must(err)

	for end := false; !end; {
		e, err := f.Next(i.t.Context())
		i.must(err)
		i.saw(e)

		end = e.Event.Kind == stream.KindEnd
	}

	for d, err := range i.client.DeadLetters(i.t.Context(), "echo") {
		i.must(err)
		i.saw(*d)
	}
}
