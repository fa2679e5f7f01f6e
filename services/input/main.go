// Input takes prompts from a terminal, a pipe or HTTP and posts them as turns.
package main

import (
	"context"
	"os"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/services/input/terminal"
	"github.com/woodwork-go/woodwork/services/input/web"
	"github.com/woodwork-go/woodwork/services/internal/edge"
)

func main() {
	var s settings

	framework.Main(framework.Service{
		Name:  "input",
		Flags: s.register,
		Check: s.check,
		Run: func(ctx context.Context, c *framework.Client) error {
			if s.http != "" {
				return serve(ctx, c, &s)
			}

			return ask(ctx, c, &s)
		},
	})
}

// serve takes prompts over HTTP until ctx ends.
func serve(ctx context.Context, c *framework.Client, s *settings) error {
	listener, err := edge.Listen(ctx, s.http)
	if err != nil {
		return err //nolint:wrapcheck // it says what to do
	}

	//nolint:wrapcheck // it says what it was doing
	return web.Serve(ctx, listener, c, web.Config{
		To: s.target(), EventsURL: s.eventsURL, Origin: s.origin, MaxBody: s.maxBody, Tracer: c.Tracer(),
	})
}

// ask takes prompts from standard input until it ends and the last answer has.
func ask(ctx context.Context, c *framework.Client, s *settings) error {
	post := framework.Post{Session: s.session, Component: s.target(), Policy: s.policy}

	asker, err := terminal.NewAsker(ctx, c, post, os.Stderr)
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}
	defer asker.Close()

	//nolint:wrapcheck // it says what it was doing
	return terminal.Loop(ctx, terminal.Open(os.Stdin, os.Stdout, os.Stderr), asker.Ask)
}
