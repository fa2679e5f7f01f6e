// Output shows the answers of sessions: on a terminal, in a pipe, or over HTTP as server-sent events.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/internal/edge"
	"github.com/woodwork-go/woodwork/services/output/terminal"
	"github.com/woodwork-go/woodwork/services/output/web"
)

func main() {
	var s settings

	framework.Main(framework.Service{
		Name:  "output",
		Flags: s.register,
		Check: s.check,
		Run: func(ctx context.Context, c *framework.Client) error {
			if s.http != "" {
				return serve(ctx, c, &s)
			}

			return show(ctx, c, &s)
		},
	})
}

// serve serves events until ctx ends.
func serve(ctx context.Context, c *framework.Client, s *settings) error {
	listener, err := edge.Listen(ctx, s.http)
	if err != nil {
		return err //nolint:wrapcheck // it says what to do
	}

	return web.Serve(ctx, listener, c, web.Config{ //nolint:wrapcheck // as above
		Origin: s.origin, Heartbeat: s.heartbeat, Tracer: c.Tracer(),
	})
}

// show prints a session's answers until ctx ends, from where an earlier run with the same reader's name stopped.
func show(ctx context.Context, c *framework.Client, s *settings) error {
	mark, from, err := terminal.OpenBookmark(ctx, c.Session(s.session, "output-"+s.reader))
	if err != nil {
		return fmt.Errorf("open reader %s: %w", s.reader, err)
	}

	out := terminal.NewRenderer(terminal.Stdio(os.Stdout, os.Stderr, os.Getenv("NO_COLOR")))

	err = showFrom(ctx, c, stream.FollowConfig{Session: s.session, From: from}, out, mark)
	for errors.Is(err, stream.ErrExpired) {
		err = showFrom(ctx, c, stream.FollowConfig{Session: s.session}, out, mark)
	}

	return err
}

// showFrom prints the answers from a place on.
func showFrom(
	ctx context.Context, c *framework.Client, from stream.FollowConfig, out *terminal.Renderer, mark *terminal.Bookmark,
) error {
	events, err := c.Follow(ctx, from)
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}
	defer events.Close()

	return terminal.NewPrinter(events, out).All(ctx, mark) //nolint:wrapcheck // it says what it was doing
}
