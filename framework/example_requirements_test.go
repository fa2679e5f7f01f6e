package framework_test

import (
	"context"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// These are the example classes of the requirements document; docs/requirements.md lists what each of their parts became.

// enhanced is EnhancedStreamingComponent: it finds its target by type when there is something to send, and sends in the
// session of its turn.
type enhanced struct {
	components *registry.Registry
}

func (e *enhanced) service(name string) framework.Service {
	return framework.Service{Name: name, Setup: e.setUp, Handler: e.process}
}

func (e *enhanced) setUp(ctx context.Context, c *framework.Client) (err error) {
	e.components, err = c.Registry(ctx)

	return err
}

func (e *enhanced) process(ctx context.Context, turn *framework.Turn) error {
	prompt, err := turn.Input.ReadAll(ctx)
	if err != nil {
		return err
	}

	target, ok := e.components.Choose(registry.Query{Type: "display", Session: turn.Session.ID})
	if !ok {
		return framework.RetryAfter(time.Second, call.ErrNoInstance)
	}

	output, err := turn.OpenOutput(ctx, target.Component)
	if err != nil {
		return err
	}

	return output.Send(ctx, prompt)
}

// A component finds the next one by its type, without configuration.
func Example_enhancedStreamingComponent() {
	ctx := context.Background()
	display := shout()
	display.Kind = "display"

	cfg, stop := pipeline(ctx, display, (&enhanced{}).service("agent"))
	defer stop()

	fmt.Println(ask(ctx, cfg, "agent", "found by its type"))
	// Output: FOUND BY ITS TYPE
}

// A component calls others through a circuit breaker, and its health is watched without a word of its own.
func Example_productionStreamingComponent() {
	ctx := context.Background()
	agent := framework.Service{
		Name: "agent",
		Handler: func(ctx context.Context, turn *framework.Turn) error { // call_component
			sum, err := call.Ask[int](ctx, turn, "calculator", call.Request{Operation: "add", JSON: []int{40, 2}})
			if err != nil {
				return err
			}
			return turn.Output.Send(ctx, fmt.Append(nil, sum))
		},
	}

	settings := framework.Config{Calls: call.Config{
		Breaker: breaker.Config{Failures: 5, Recovery: time.Minute}, // which are the defaults
	}}

	cfg, stop := pipelineWith(ctx, settings, calculator(), agent)
	defer stop()

	fmt.Println(ask(ctx, cfg, "agent", "how much is it?"))
	// Output: 42
}
