package answer

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// How long the models take to answer, and the first one to fail.
const (
	firstTakes  = time.Second
	secondTakes = 2 * time.Second
	failsAfter  = 300 * time.Millisecond
)

// scripted is a model that is up or down, by the test's word.
type scripted struct {
	name  string
	takes time.Duration
	down  bool
	asked int
}

func (m *scripted) Name() string { return m.name }

func (m *scripted) Stream(
	_ context.Context, _ provider.Request, emit func(string) error,
) (provider.Result, error) {
	m.asked++

	if m.down {
		<-time.After(failsAfter) // of the bubble

		return provider.Result{}, &provider.Error{Provider: m.name, Kind: provider.KindUnavailable}
	}

	<-time.After(m.takes) // of the bubble

	return provider.Result{Provider: m.name, FinishReason: "stop"}, emit(m.name)
}

// TestAProviderGoesDownAndComesBack is the whole story with exact times: what was answered by whom, after how long, how
// often the provider was asked, and when its breaker changed. While it is open an answer takes as long as the fallback's
// own, to the nanosecond.
func TestAProviderGoesDownAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &scripted{name: "first", takes: firstTakes, down: true}, &scripted{name: "second", takes: secondTakes}
		begun := time.Now()

		var changes, story []string

		s := &Settings{
			Retry: provider.Retry{Backoff: time.Nanosecond}, // too short to be varied by chance
			Breaker: breaker.Config{OnChange: func(c breaker.Change) {
				changes = append(changes, fmt.Sprintf("%v: %s is %s after %s", c.At.Sub(begun), c.Name, c.To, c.From))
			}},
		}
		s.use(first, second)

		broker := membus.NewBroker(membus.Config{})
		b := broker.Open()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)

		go func() { ended <- framework.Run(ctx, s.Service(), framework.Config{Bus: b}) }()

		client, err := framework.Connect(t.Context(), framework.Config{Bus: broker.Open()})
		if err != nil {
			t.Fatal(err)
		}

		tell := func() {
			asked, posted := first.asked, time.Now()
			text := answered(t, client)
			story = append(story, fmt.Sprintf("%v: %s in %v, the first was asked %d times, %s", time.Since(begun),
				text, time.Since(posted), first.asked-asked, s.Breakers().For("first").Status().State))
		}

		justBeforeRecovery := func() { // of the bubble
			<-time.After(time.Until(s.Breakers().For("first").Status().Since.Add(time.Minute - time.Nanosecond)))
		}

		for range 3 { // five failures
			tell()
		}

		tell()
		justBeforeRecovery()
		tell()
		tell() // it is tried, and still down
		tell()

		first.down = false

		justBeforeRecovery()

		for range 5 {
			tell()
		}

		wantStory := []string{
			"2.600000001s: second in 2.600000001s, the first was asked 2 times, closed",
			"5.200000002s: second in 2.600000001s, the first was asked 2 times, closed",
			"7.500000002s: second in 2.3s, the first was asked 1 times, open", // the fifth failure: no wait before the fallback
			"9.500000002s: second in 2s, the first was asked 0 times, open",
			"1m7.500000001s: second in 2s, the first was asked 0 times, open",   // a nanosecond before the recovery
			"1m9.800000001s: second in 2.3s, the first was asked 1 times, open", // the probe
			"1m11.800000001s: second in 2s, the first was asked 0 times, open",
			"2m9.8s: second in 2s, the first was asked 0 times, open", // it is up, and nobody asks yet
			"2m10.8s: first in 1s, the first was asked 1 times, half-open",
			"2m11.8s: first in 1s, the first was asked 1 times, half-open",
			"2m12.8s: first in 1s, the first was asked 1 times, closed",
			"2m13.8s: first in 1s, the first was asked 1 times, closed",
		}
		if diff := cmp.Diff(wantStory, story); diff != "" {
			t.Errorf("story (-want +got):\n%s", diff)
		}

		wantChanges := []string{
			"5.500000002s: first is open after closed",
			"1m7.500000001s: first is half-open after open",
			"1m7.800000001s: first is open after half-open",
			"2m9.8s: first is half-open after open",
			"2m12.8s: first is closed after half-open",
		}
		if diff := cmp.Diff(wantChanges, changes); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}

		if status := s.Breakers().For("first").Status(); status.Opened != 2 || status.State != breaker.Closed {
			t.Errorf("status: %+v", status)
		}

		stop()

		if err := <-ended; err != nil {
			t.Error(err)
		}

		_ = client.Close(t.Context())
		_ = b.Close(t.Context())
	})
}

// answered posts a prompt and returns the answer.
func answered(t *testing.T, client *framework.Client) string {
	t.Helper()

	ref, err := client.Post(t.Context(), framework.Post{Session: "s", Component: Name}, []byte("Q"))
	if err != nil {
		t.Fatal(err)
	}

	follower, err := client.Follow(t.Context(), stream.FollowConfig{Session: ref.Session})
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()

	for text := ""; ; {
		event, err := follower.Next(t.Context())

		switch {
		case err != nil:
			t.Fatal(err)
		case event.Info.Root != ref.Turn:
		case event.Event.Kind == stream.KindChunk:
			text += string(event.Event.Chunk.Data)
		case event.Event.Kind == stream.KindEnd:
			return text
		}
	}
}
