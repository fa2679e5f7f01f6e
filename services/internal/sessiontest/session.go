// Package sessiontest gives tests of edges a session whose answers they write themselves, on the bus in memory.
package sessiontest

import (
	"context"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// T is what of a testing.T is needed; so no program can link package testing by way of this one.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Error(args ...any)
	Fatal(args ...any)
}

// Session is a session on a bus of its own.
type Session struct {
	*stream.Store

	// ID is the session's id.
	ID string
	// Bus is where it is stored.
	Bus bus.Bus

	broker *membus.Broker
	t      T
}

// soon is how quickly readers notice what is missing, so that tests are quick too.
const soon = 20 * time.Millisecond

// New returns an empty session, which is closed at the end of the test.
func New(t T, id string) *Session {
	t.Helper()

	broker := membus.NewBroker(membus.Config{})
	b := broker.Open()
	store := stream.NewStore(b, b.Info(), stream.Config{Recheck: soon})

	t.Cleanup(func() {
		store.Close()

		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})

	return &Session{Store: store, ID: id, Bus: b, broker: broker, t: t}
}

// Lose makes the broker forget the session's timeline and its answers to turns.
func (s *Session) Lose(turns ...string) {
	s.broker.Wipe(bus.StreamID{Session: s.ID, Stream: subjects.Timeline})

	for _, turn := range turns {
		s.broker.Wipe(bus.StreamID{Session: s.ID, Stream: answerTo(turn)})
	}
}

// answerTo is the stream that answers a turn.
func answerTo(turn string) string { return "answer-" + turn }

// Answer opens an attempt at the answer to a turn.
func (s *Session) Answer(turn string, kind bus.DataType, policy stream.Policy) *Answer {
	s.t.Helper()

	w, err := s.OpenWriter(s.t.Context(), stream.WriterConfig{
		Session: s.ID,
		Info:    stream.Info{Stream: answerTo(turn), Component: "llm", Turn: turn, Root: turn, Type: kind},
		Policy:  policy,
	})
	if err != nil {
		s.t.Fatal(err)
	}

	return &Answer{Writer: w, t: s.t}
}

// Say writes a whole answer of text.
func (s *Session) Say(turn string, chunks ...string) {
	s.t.Helper()
	s.Answer(turn, bus.Text, stream.Restart).Say(chunks...).Done()
}

// Answer is an attempt at an answer. Its methods end the test when they fail, and return after everything is stored.
type Answer struct {
	*stream.Writer

	t T
}

// Say sends chunks.
func (a *Answer) Say(chunks ...string) *Answer {
	a.t.Helper()

	for _, chunk := range chunks {
		if err := a.Send(a.t.Context(), []byte(chunk)); err != nil {
			a.t.Fatal(err)
		}
	}

	if err := a.Flush(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}

	return a
}

// Done completes the answer.
func (a *Answer) Done() {
	a.t.Helper()

	if err := a.Close(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}
