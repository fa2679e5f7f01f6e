package answer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

// TestASlowComponentSlowsTheProvider has a provider that would send without end, and a component behind the model that
// reads little of it: so the provider's connection fills up. Without a window it takes everything.
func TestASlowComponentSlowsTheProvider(t *testing.T) {
	t.Parallel()

	const (
		event = 64 << 10
		limit = 48 << 20
	)

	for name, test := range map[string]struct {
		window   int
		waiting  bool
		patience time.Duration // with a connection that takes nothing; a busy broker may, too, for a while
	}{
		"with a window":    {20, true, 2 * time.Second},
		"without a window": {-1, false, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			format := providertest.OpenAI()
			taken := make(chan int, 1)
			w := setup(t)
			w.cfg.Stream = stream.Config{AheadChunks: test.window, AheadBytes: -1}

			_, s := openAI(t, func(c *providertest.Conn) {
				c.Events()
				c.Send(format.Start(5))
				taken <- c.Flood(format.Delta(strings.Repeat("x", event)), limit, test.patience)
				c.Cut()
			}, func(c *providertest.Conn) { c.Hang() })

			if err := s.Check(); err != nil {
				t.Fatal(err)
			}

			llm := s.Service()
			llm.To = []string{"speak"}
			w.run(llm)

			read := make(chan int, 1)
			w.run(framework.Service{Name: "speak", Handler: func(ctx context.Context, turn *framework.Turn) error {
				for range 10 {
					if _, err := turn.Input.Next(ctx); err != nil {
						return err
					}
				}
				read <- 10
				<-ctx.Done()

				return context.Cause(ctx)
			}})

			ref := w.post("s", "tell me everything")

			<-read

			got := <-taken
			if (got < limit) != test.waiting {
				t.Errorf("the provider could send %d of %d bytes", got, limit)
			}

			t.Logf("the provider could send %d bytes of %d", got, limit)
			w.cancel(ref)
		})
	}
}
