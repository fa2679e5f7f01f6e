// Tool is a component for tests: it answers calls and turns with the process that did it.
package main

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/call"
)

func main() {
	self := []byte(strconv.Itoa(os.Getpid()))

	framework.Main(framework.Service{
		Name: "tool", Kind: "test", Capabilities: []string{"counting", "naming"}, Version: "1.2.3",
		Handler: func(ctx context.Context, turn *framework.Turn) error {
			return turn.Output.Send(ctx, self)
		},
		Calls: map[string]call.Handler{
			"who":  func(_ context.Context, in *call.Incoming) error { return in.Reply(self) },
			"fail": func(context.Context, *call.Incoming) error { return errors.New("no paper") },
		},
	})
}
