package framework_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework"
)

// A process whose turn ends just when the broker goes away ends when it is told to, although nothing of the turn's end can
// be stored: another instance will take the turn when the broker is back.
func TestAProcessStopsWhileItsBrokerIsAway(t *testing.T) {
	t.Parallel()

	for name, result := range map[string]error{"completed": nil, "failed": errors.New("the provider is away, too")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			server, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:-1"})
			if err != nil {
				t.Fatal(err)
			}

			running, down, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			ctx, stop := context.WithCancel(t.Context())

			defer stop()

			go func() {
				ended <- framework.Run(ctx, framework.Service{Name: "llm", Handler: func(context.Context, *framework.Turn) error {
					close(running)
					<-down

					return result
				}}, framework.Config{URL: server.URL(), Drain: time.Second})
			}()

			client, err := framework.Connect(t.Context(), framework.Config{URL: server.URL()})
			if err != nil {
				t.Fatal(err)
			}

			post := framework.Post{Session: "s", Component: "llm"}
			if _, err := client.Post(t.Context(), post, []byte("x")); err != nil {
				t.Fatal(err)
			}

			<-running

			if err := errors.Join(client.Close(t.Context()), server.Close()); err != nil {
				t.Fatal(err)
			}

			close(down)
			stop()

			select {
			case <-ended: // what it says of the broker's absence is not the point
			case <-time.After(time.Minute):
				t.Error("it still runs a minute after it was told to stop")
			}
		})
	}
}
