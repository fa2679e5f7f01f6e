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

// scripted is a model that is up or down, by the test's word.
type scripted struct {
	name  string
	down  bool
	asked int
}

func (m *scripted) Name() string { return m.name }

func (m *scripted) Stream(
	_ context.Context, _ provider.Request, emit func(string) error,
) (provider.Result, error) {
	m.asked++

	if m.down {
		return provider.Result{}, &provider.Error{Provider: m.name, Kind: provider.KindUnavailable}
	}

	return provider.Result{Provider: m.name, FinishReason: "stop"}, emit(m.name)
}

// TestAProviderGoesDownAndComesBack is the whole story with exact times: what was answered by whom, after how long, and
// how often the provider was asked.
func TestAProviderGoesDownAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := &scripted{name: "first", down: true}, &scripted{name: "second"}

		s := &Settings{Retry: provider.Retry{Backoff: time.Second}}
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

		var story []string

		tell := func() {
			asked, begun := first.asked, time.Now()
			text := answered(t, client)
			story = append(story, fmt.Sprintf("%s after %d requests and %v, %s",
				text, first.asked-asked, time.Since(begun).Round(time.Second), s.Breakers().For("first").Status().State))
		}

		for range 4 {
			tell()
		}

		<-time.After(59 * time.Second)
		tell()

		<-time.After(2 * time.Second) // it is tried, and still down
		tell()
		tell()

		first.down = false

		<-time.After(time.Minute)

		for range 4 {
			tell()
		}

		want := []string{
			"second after 2 requests and 1s, closed",
			"second after 2 requests and 1s, closed",
			"second after 1 requests and 1s, open", // the fifth failure
			"second after 0 requests and 0s, open",
			"second after 0 requests and 0s, open",
			"second after 1 requests and 1s, open", // the probe
			"second after 0 requests and 0s, open",
			"first after 1 requests and 0s, half-open",
			"first after 1 requests and 0s, half-open",
			"first after 1 requests and 0s, closed",
			"first after 1 requests and 0s, closed",
		}
		if diff := cmp.Diff(want, story); diff != "" {
			t.Errorf("story (-want +got):\n%s", diff)
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
