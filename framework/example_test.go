package framework_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// shout is a whole service: it answers in capitals while the words still come in.
func shout() framework.Service {
	return framework.Service{
		Name: "shout",
		Handler: func(ctx context.Context, turn *framework.Turn) error {
			for chunk, err := range turn.Input.Chunks(ctx) {
				if err != nil {
					return err
				}
				if err := turn.Output.Send(ctx, bytes.ToUpper(chunk.Data)); err != nil {
					return err
				}
			}
			return nil // ends the output stream; the turn completes when all of it is stored
		},
	}
}

// A component in one function; framework.Main(shout()) makes a process of it. Here it runs on a broker of its own, and
// a client asks it something.
func Example() {
	ctx := context.Background()
	cfg, stop := pipeline(ctx, shout())

	defer stop()

	fmt.Println(ask(ctx, cfg, "shout", "hello, streaming world"))
	// Output: HELLO, STREAMING WORLD
}

// The first middleware listed is the outermost.
func ExampleMiddleware() {
	ctx := context.Background()
	announce := func(name string) framework.Middleware {
		return func(next framework.Handler) framework.Handler {
			return func(ctx context.Context, turn *framework.Turn) error {
				fmt.Println("enter", name)
				defer fmt.Println("leave", name)

				return next(ctx, turn)
			}
		}
	}

	service := shout()
	service.Middleware = []framework.Middleware{announce("outer"), announce("inner")}

	cfg, stop := pipeline(ctx, service)
	defer stop()

	fmt.Println(ask(ctx, cfg, "shout", "hi"))
	// Unordered output:
	// enter outer
	// enter inner
	// leave inner
	// leave outer
	// HI
}

// A handler that knows that trying again won't help says so; readers of the output are told the reason.
func ExampleTerminate() {
	ctx := context.Background()
	cfg, stop := pipeline(ctx, framework.Service{
		Name: "strict",
		Handler: func(context.Context, *framework.Turn) error {
			return framework.Terminate(errors.New("only questions, please"))
		},
	})

	defer stop()

	fmt.Println(ask(ctx, cfg, "strict", "a statement"))
	// Output: failed: only questions, please
}

// A handler that fails is executed again; what its first attempt had sent is superseded, and nobody reads it twice.
func ExampleRetryAfter() {
	ctx := context.Background()

	var attempts atomic.Int32

	cfg, stop := pipeline(ctx, framework.Service{
		Name: "flaky",
		Handler: func(ctx context.Context, turn *framework.Turn) error {
			if err := turn.Output.Send(ctx, fmt.Appendf(nil, "attempt %d", attempts.Add(1))); err != nil {
				return err
			}

			if attempts.Load() == 1 {
				return framework.RetryAfter(1, errors.New("busy"))
			}

			return nil
		},
	})

	defer stop()

	fmt.Println(ask(ctx, cfg, "flaky", "well?"))
	// Output: attempt 2
}

// A component keeps what it must remember in the session, where every instance finds it.
func ExampleSession() {
	ctx := context.Background()
	cfg, stop := pipeline(ctx, framework.Service{
		Name: "counter",
		Handler: func(ctx context.Context, turn *framework.Turn) error {
			var count int
			if err := turn.Session.Load(ctx, &count); err != nil {
				return err
			}

			count++
			if err := turn.Session.Save(ctx, count); err != nil {
				return err
			}

			return turn.Output.Send(ctx, fmt.Appendf(nil, "turn %d", count))
		},
	})

	defer stop()

	fmt.Println(ask(ctx, cfg, "counter", "first"))
	fmt.Println(ask(ctx, cfg, "counter", "second"))
	// Output:
	// turn 1
	// turn 2
}

// pipeline runs services on a broker in this process until stop is called.
func pipeline(ctx context.Context, services ...framework.Service) (framework.Config, func()) {
	return pipelineWith(ctx, framework.Config{}, services...)
}

// pipelineWith is pipeline with settings of the services' own.
func pipelineWith(ctx context.Context, cfg framework.Config, services ...framework.Service) (framework.Config, func()) {
	server, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		panic(err)
	}

	cfg.InProcess = server
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, len(services))

	for _, s := range services {
		go func() { ended <- framework.Run(ctx, s, cfg) }()
	}

	return cfg, func() {
		cancel()

		for range services {
			err = errors.Join(err, <-ended)
		}

		if err := errors.Join(err, server.Close()); err != nil {
			panic(err)
		}
	}
}

// ask posts a turn and returns its answer as a user sees it at the end.
func ask(ctx context.Context, cfg framework.Config, component, prompt string) string {
	client, err := framework.Connect(ctx, cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close(ctx)

	ref, err := client.Post(ctx, framework.Post{Session: "example", Component: component}, []byte(prompt))
	if err != nil {
		panic(err)
	}

	follower, err := client.Follow(ctx, stream.FollowConfig{Session: ref.Session})
	if err != nil {
		panic(err)
	}
	defer follower.Close()

	var answer []string

	for {
		event, err := follower.Next(ctx)
		if err != nil {
			panic(err)
		}

		if event.Info.Root != ref.Turn {
			continue
		}

		switch event.Event.Kind {
		case stream.KindChunk:
			answer = append(answer, string(event.Event.Chunk.Data))
		case stream.KindSuperseded:
			answer = answer[:event.Event.From]
		case stream.KindOpened:
		case stream.KindEnd:
			if end := event.Event.End; end.Reason != "" {
				return fmt.Sprintf("%s: %s", end.State, end.Reason)
			}

			if len(answer) > 0 { // the component itself said nothing where it only passed the turn on
				return strings.Join(answer, "")
			}
		}
	}
}
