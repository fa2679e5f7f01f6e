package framework_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/call"
)

// calculator is a tool: a component that others call.
func calculator() framework.Service {
	return framework.Service{
		Name: "calculator",
		Calls: map[string]call.Handler{
			"add": call.JSON(func(_ context.Context, numbers []int) (sum int, err error) {
				for _, n := range numbers {
					sum += n
				}
				return sum, nil
			}),
			"count": call.JSONStream(func(_ context.Context, to int, send func(int) error) error {
				for n := 1; n <= to; n++ {
					if err := send(n); err != nil {
						return err
					}
				}
				return nil
			}),
		},
	}
}

// A handler calls another component and waits for its reply.
func ExampleTurn_Call() {
	fmt.Println(withCalculator(func(ctx context.Context, turn *framework.Turn) error {
		sum, err := call.Ask[int](ctx, turn, "calculator", call.Request{Operation: "add", JSON: []int{2, 3}})
		if err != nil {
			return err
		}
		return turn.Output.Send(ctx, fmt.Appendf(nil, "2 + 3 = %d", sum))
	}))
	// Output: 2 + 3 = 5
}

// Replies may come as a stream, and go on to the reader as they come.
func ExampleTurn_Stream() {
	fmt.Println(withCalculator(func(ctx context.Context, turn *framework.Turn) error {
		numbers := call.AskStream[int](ctx, turn, "calculator", call.Request{Operation: "count", JSON: 3})
		for n, err := range numbers {
			if err != nil {
				return err
			}
			if err := turn.Output.Send(ctx, []byte(strings.Repeat("*", n)+" ")); err != nil {
				return err
			}
		}
		return nil
	}))
	// Output: * ** ***
}

// withCalculator runs the calculator and an agent with the handler, and asks the agent.
func withCalculator(handler framework.Handler) string {
	ctx := context.Background()

	cfg, stop := pipeline(ctx, calculator(), framework.Service{Name: "agent", Handler: handler})
	defer stop()

	return strings.TrimSpace(ask(ctx, cfg, "agent", "how much is it?"))
}
