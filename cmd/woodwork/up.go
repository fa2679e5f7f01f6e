package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/services/llm/answer"
)

// quiet is the log level of commands whose terminal belongs to a conversation.
const quiet = "warn"

// closeTimeout bounds the closing of a connection.
const closeTimeout = 5 * time.Second

// up runs the whole pipeline: the broker unless one is named, the model service, and a conversation in this terminal.
func up(ctx context.Context, s streams, args []string) (err error) {
	var (
		o     = framework.Options{LogLevel: quiet, Whole: true}
		place broker
		talk  conversation
		model = answer.Settings{Env: s.env}
	)

	fs := flag.NewFlagSet("up", flag.ContinueOnError)
	o.Register(fs)
	place.register(fs)
	talk.register(fs)
	model.Register(fs)

	if err := parse(&o, fs, s, args); err != nil {
		return err
	}

	if err := model.Check(); err != nil {
		return &framework.UsageError{Err: err}
	}

	if err := talk.complete(o.To); err != nil {
		return err
	}

	place.provide(&o.Config, s.env)

	defer func() { err = errors.Join(err, place.close()) }()

	return pipeline(ctx, o.Config, &model, func(ctx context.Context) error {
		return withClients(ctx, o.Config, func(input, output *framework.Client) error {
			info := place.info(output.Info())
			talk.greet(s, info, place.place(info.Kind), model.Name())

			return talk.hold(ctx, s, input, output)
		})
	})
}

// pipeline runs the model service while the conversation lasts.
func pipeline(
	ctx context.Context, cfg framework.Config, model *answer.Settings, talk func(ctx context.Context) error,
) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return framework.Run(ctx, model.Service(), cfg) })
	group.Go(func() error {
		defer stop()

		return talk(ctx)
	})

	return group.Wait()
}

// withClients opens one connection for what goes in and one for what comes out, and closes both.
func withClients(ctx context.Context, cfg framework.Config, f func(input, output *framework.Client) error) (err error) {
	closing := func(c *framework.Client) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()

		err = errors.Join(err, c.Close(ctx))
	}

	cfg.Name = "input"

	input, err := framework.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer closing(input)

	cfg.Name = "output"

	output, err := framework.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer closing(output)

	return f(input, output)
}
