package main

import (
	"context"
	"flag"

	"github.com/woodwork-go/woodwork/framework"
)

// chat talks to a pipeline that runs elsewhere.
func chat(ctx context.Context, s streams, args []string) error {
	var (
		o    = framework.Options{LogLevel: quiet}
		talk conversation
	)

	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	o.Register(fs)
	talk.register(fs)

	if err := parse(&o, fs, s, args); err != nil {
		return err
	}

	if err := talk.complete(o.To); err != nil {
		return err
	}

	return withClients(ctx, o.Config, func(input, output *framework.Client) error {
		talk.greet(s, output.Info(), "remote", "of the pipeline there")

		return talk.hold(ctx, s, input, output)
	})
}
