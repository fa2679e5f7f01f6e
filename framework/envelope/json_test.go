package envelope_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

const (
	firstShape = `{"message_id":"msg-0123456789ab","session_id":"s1","event_type":"component.started","payload":{"a":1},` +
		`"sender_component":"input","target_component":"llm","delivery_mode":"at_least_once","pattern":"publish_subscribe",` +
		`"created_at":1700000000.250000,"retry_count":1,"max_retries":3,"ttl_seconds":300}`
	secondShape = `{"message_id":"msg-0123456789ab","session_id":"s1","event_type":"component.started","payload":{"a":1},` +
		`"component_source":"input","component_target":"llm","delivery_mode":"at_least_once","pattern":"pub_sub",` +
		`"timestamp":"2023-11-14T22:13:20.25Z","retry_count":1,"max_retries":3}`
)

func sample() envelope.Message {
	return envelope.Message{
		ID: "msg-0123456789ab", Session: "s1", EventType: "component.started", Payload: []byte(`{"a":1}`), Source: "input",
		Target: "llm", Mode: envelope.AtLeastOnce, Pattern: envelope.PublishSubscribe,
		CreatedAt: time.UnixMicro(1700000000250000).UTC(), RetryCount: 1, MaxRetries: 3, TTL: 300 * time.Second,
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()

	for want, write := range map[string]func() ([]byte, error){
		firstShape: sample().MarshalJSON, secondShape: sample().MarshalSecondShape,
	} {
		got, err := write()
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}

		var m envelope.Message
		if err := json.Unmarshal([]byte(want), &m); err != nil {
			t.Error(err)
		}

		if diff := cmp.Diff(sample(), m); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
	}
}

func TestReadsWhatWasWritten(t *testing.T) {
	t.Parallel()

	type message = envelope.Message

	least := envelope.Message{
		EventType: "e", Payload: []byte("{}"), Mode: envelope.AtLeastOnce, Pattern: envelope.PointToPoint,
		MaxRetries: envelope.DefaultMaxRetries, TTL: envelope.DefaultTTL,
	}
	with := func(change func(m *message)) envelope.Message {
		m := least
		change(&m)

		return m
	}

	for text, want := range map[string]envelope.Message{
		`{"event_type":"e"}`: least,
		`{"event_type":"e","payload":null,"sender_component":null}`: least,
		`{"event_type":"e","ttl_seconds":null}`:                     with(func(m *message) { m.TTL = envelope.Never }),
		`{"event_type":"e","ttl_seconds":0}`:                        with(func(m *message) { m.TTL = time.Microsecond }),
		`{"event_type":"e","ttl_seconds":1.5}`:                      with(func(m *message) { m.TTL = 1500 * time.Millisecond }),
		`{"event_type":"e","max_retries":0}`:                        with(func(m *message) { m.MaxRetries = envelope.NoRetries }),
		`{"event_type":"e","timestamp":"2023-11-14T22:13:20.250000"}`: with(func(m *message) {
			m.CreatedAt = time.UnixMicro(1700000000250000).UTC()
		}),
		`{"event_type":"e","timestamp":"2023-11-14T23:13:20+01:00","metadata":{"a":1}}`: with(func(m *message) {
			m.CreatedAt, m.Metadata = time.Unix(1700000000, 0).UTC(), []byte(`{"a":1}`)
		}),
		`{"event_type":"e","timestamp":1700000000,"pattern":"stream","delivery_mode":"exactly_once"}`: with(func(m *message) {
			m.CreatedAt, m.Pattern, m.Mode = time.Unix(1700000000, 0).UTC(), envelope.Stream, envelope.ExactlyOnce
		}),
	} {
		var got envelope.Message
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}

	for _, text := range []string{
		`[]`, `"x"`, `{"event_type":1}`, `{"delivery_mode":"twice"}`, `{"pattern":"x"}`, `{"retry_count":-1}`, `{"max_retries":-1}`,
		`{"ttl_seconds":-1}`, `{"ttl_seconds":"x"}`, `{"ttl_seconds":1e300}`, `{"created_at":-1}`, `{"created_at":1e300}`,
		`{"created_at":"yesterday"}`, `{"created_at":{}}`,
	} {
		var m envelope.Message
		if err := m.UnmarshalJSON([]byte(text)); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func ids() *rapid.Generator[string] {
	return rapid.StringMatching(`([A-Za-z0-9-][A-Za-z0-9_-]{0,20})?`)
}

func messages() *rapid.Generator[envelope.Message] {
	return rapid.Custom(func(t *rapid.T) envelope.Message {
		payload, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "payload"))
		if err != nil {
			t.Fatal(err)
		}

		m := envelope.Message{
			ID: ids().Draw(t, "id"), Session: ids().Draw(t, "session"), EventType: rapid.String().Draw(t, "event"),
			Payload: payload, Source: ids().Draw(t, "source"), Target: ids().Draw(t, "target"),
			Mode:    rapid.SampledFrom([]envelope.Mode{envelope.AtMostOnce, envelope.AtLeastOnce, envelope.ExactlyOnce}).Draw(t, "mode"),
			Pattern: rapid.SampledFrom([]envelope.Pattern{envelope.PointToPoint, envelope.PublishSubscribe, envelope.Stream}).Draw(t, "p"),
			// Until 2100: seconds as a JSON number of 64 bits hold microseconds that long.
			CreatedAt:  time.UnixMicro(rapid.Int64Range(0, 4102444800e6).Draw(t, "time")).UTC(),
			RetryCount: rapid.IntRange(0, 100).Draw(t, "retries"),
			MaxRetries: rapid.SampledFrom([]int{envelope.NoRetries, 1, 3, 100}).Draw(t, "max"),
			TTL: rapid.SampledFrom([]time.Duration{
				envelope.Never, time.Microsecond, 1234567 * time.Microsecond, time.Hour,
			}).Draw(t, "ttl"),
		}
		if rapid.Bool().Draw(t, "with metadata") {
			m.Metadata = payload
		}

		return m
	})
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := messages().Draw(t, "message")

		for name, write := range map[string]func() ([]byte, error){
			"first shape": m.MarshalJSON, "second shape": m.MarshalSecondShape,
		} {
			text, err := write()
			if err != nil {
				t.Fatal(err)
			}

			var got envelope.Message
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%s: %s: %v", name, text, err)
			}

			want := m
			if name == "second shape" { // which has no place for it
				want.TTL = envelope.DefaultTTL
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{
		firstShape, secondShape, `{}`, `{"ttl_seconds":null,"created_at":0.1}`, `{"timestamp":"2023-11-14T22:13:20"}`,
		`{"created_at":1e11,"max_retries":0}`, `{"payload":[1,{"a":"\u2028<"}]}`,
	} {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again envelope.Message
		if json.Unmarshal(data, &m) != nil {
			return
		}

		text, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%+v can't be written: %v", m, err)
		}

		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s can't be read: %v", text, err)
		}

		if again.ID != m.ID || again.TTL != m.TTL || again.MaxRetries != m.MaxRetries || again.Target != m.Target ||
			again.CreatedAt.Sub(m.CreatedAt).Abs() > time.Millisecond {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()

	now := time.Unix(1700000000, 0)

	for _, test := range []struct {
		m              envelope.Message
		expired, retry bool
	}{
		{envelope.Message{CreatedAt: now.Add(-299 * time.Second)}, false, true},
		{envelope.Message{CreatedAt: now.Add(-301 * time.Second)}, true, false},
		{envelope.Message{CreatedAt: now.Add(-time.Hour), TTL: envelope.Never}, false, true},
		{envelope.Message{CreatedAt: now, RetryCount: 2}, false, true},
		{envelope.Message{CreatedAt: now, RetryCount: 3}, false, false},
		{envelope.Message{CreatedAt: now, MaxRetries: envelope.NoRetries}, false, false},
	} {
		if test.m.Expired(now) != test.expired || test.m.CanRetry(now) != test.retry {
			t.Errorf("%+v: expired %v, can retry %v", test.m, test.m.Expired(now), test.m.CanRetry(now))
		}
	}
}
