package envelope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

// What is accepted can be handled by whoever it is for, and be set aside; what is refused is refused at once.
func TestWhatIsAcceptedArrives(t *testing.T) {
	t.Parallel()

	b := broker{func(*testing.T) bus.Bus { return membus.New(membus.Config{MaxBody: 8 << 10}) }}
	messages, got := b.messages(t, envelope.Config{}), make(chan envelope.Message, 1)

	handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
		got <- m

		return errors.New("no")
	})

	rapid.Check(t, func(rt *rapid.T) {
		m := drawMessage(rt)

		sent, err := messages.Send(t.Context(), m)
		if err != nil {
			if !errors.Is(err, bus.ErrInvalid) && !errors.Is(err, bus.ErrTooLarge) {
				rt.Fatal(err)
			}

			return
		}

		arrived := receive(t, "message", got)
		if arrived.ID != sent.ID || arrived.EventType != sent.EventType || arrived.Mode != sent.Mode ||
			arrived.Pattern != sent.Pattern || arrived.Source != sent.Source || arrived.Session != sent.Session {
			rt.Fatalf("sent %+v, arrived %+v", sent, arrived)
		}

		dead := wantDead(t, messages, 1)
		if dead[0].Message.ID != sent.ID {
			rt.Fatalf("set aside is %+v", dead[0].Message)
		}

		if err := messages.Forget(t.Context(), dead[0]); err != nil {
			rt.Fatal(err)
		}
	})
}

// drawMessage returns a message that may be wrong in each of its parts.
func drawMessage(t *rapid.T) envelope.Message {
	id := rapid.OneOf(rapid.Just(""), rapid.StringMatching("[a-z_-]{1,64}"), rapid.String())
	odd := func(of ...string) string { return rapid.OneOf(rapid.SampledFrom(of), rapid.String()).Draw(t, "kind") }
	size := rapid.SampledFrom([]int{0, 10, 4 << 10, 5 << 10, 8 << 10, 9 << 10}).Draw(t, "size")

	return envelope.Message{
		Session: id.Draw(t, "session"), Source: id.Draw(t, "source"), Target: "llm", MaxRetries: envelope.NoRetries,
		EventType: rapid.OneOf(rapid.Just("a.b"), rapid.Just("a.\xff"), rapid.String()).Draw(t, "event"),
		Payload: rapid.SampledFrom([]json.RawMessage{
			nil, []byte(`{"a":"<b>"}`), []byte("not JSON"), []byte(`"` + strings.Repeat("<", size) + `"`),
			[]byte(`"` + strings.Repeat("x", size) + `"`),
		}).Draw(t, "payload"),
		Mode:    envelope.Mode(odd("", "at_most_once", "at_least_once", "exactly_once")),
		Pattern: envelope.Pattern(odd("", "point_to_point", "stream", "pub_sub")),
		TTL: rapid.SampledFrom([]time.Duration{
			0, envelope.Never, -2, time.Hour, 99 * 365 * 24 * time.Hour, 101 * 365 * 24 * time.Hour,
		}).Draw(t, "ttl"),
		RetryCount: rapid.IntRange(-1, 1).Draw(t, "retries"),
	}
}

// TestTheLargestMessage is handled, fails with an error that is larger still, and is set aside.
func TestTheLargestMessage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		const rest = 1000 // of a message, without its payload

		open := b.open(t)
		t.Cleanup(func() { _ = open.Close(context.WithoutCancel(t.Context())) })

		messages, most := b.messages(t, envelope.Config{}), open.Info().MaxBody/3*2
		failing := func(context.Context, envelope.Message) error {
			return errors.New(strings.Repeat("\x00é\xff", most))
		}

		handle(t, messages, "llm", failing)

		s, err := messages.Subscribe(t.Context(), envelope.Filter{Session: "s", Name: "named"}, failing)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()

		m := envelope.Message{
			Session: "s", EventType: "large", Target: "llm", MaxRetries: envelope.NoRetries,
			Payload: append(append([]byte{'"'}, bytes.Repeat([]byte("x"), most-rest)...), '"'),
		}
		send(t, messages, m)
		publish(t, messages, m)
		wantDead(t, messages, 2)

		m.Payload = append(append([]byte{'"'}, bytes.Repeat([]byte("x"), most)...), '"')
		if _, err := messages.Send(t.Context(), m); !errors.Is(err, bus.ErrTooLarge) {
			t.Errorf("a larger one: %v", err)
		}
	})
}
