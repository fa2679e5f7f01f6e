package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/woodwork-go/woodwork/framework/stream"
)

// ahead is how many events are taken from the follower before they are written, so that events that are there already
// travel together.
const ahead = 16

// client is one response. It is used by the goroutine of its request.
type client struct {
	cfg     Config
	src     Source
	follow  stream.FollowConfig
	out     http.ResponseWriter
	control *http.ResponseController
}

// item is what a follower yielded.
type item struct {
	event stream.SessionEvent
	err   error
}

// serve writes events until the client leaves, its turn has ended, or the session can't be read any more. It closes
// the follower.
func (c *client) serve(ctx context.Context, f *stream.Follower) {
	if c.send(fmt.Appendf(nil, "retry: %d\n\n", c.cfg.Retry.Milliseconds()), true) != nil {
		f.Close()

		return
	}

	err := c.copy(ctx, f)
	if !errors.Is(err, stream.ErrExpired) || c.resync() != nil || c.follow.From == (stream.SessionCursor{}) {
		return
	}

	c.follow.From = stream.SessionCursor{}

	f, err = c.src.Follow(ctx, c.follow)
	if err == nil {
		_ = c.copy(ctx, f) // the client sees the end of the response and connects again
	}
}

// copy writes the events of a follower and closes it. It returns nil after the end of the client's turn.
func (c *client) copy(ctx context.Context, f *stream.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan item, ahead)

	go func() {
		defer close(events)

		c.pump(ctx, f, events)
	}()

	defer func() {
		cancel()

		for range events { // wait for pump: only then may the follower be closed
		}

		f.Close()
	}()

	silence := time.NewTicker(c.cfg.Heartbeat)
	defer silence.Stop()

	for {
		select {
		case it, more := <-events:
			if !more {
				return fmt.Errorf("follow session: %w", context.Cause(ctx))
			}

			silence.Reset(c.cfg.Heartbeat)

			if done, err := c.write(it, len(events) == 0); done || err != nil {
				return err
			}
		case <-silence.C:
			if err := c.send([]byte(":\n\n"), true); err != nil {
				return err
			}
		}
	}
}

// pump takes the events from a follower until ctx ends or there is an error, which it passes on as the last item.
func (c *client) pump(ctx context.Context, f *stream.Follower, events chan<- item) {
	for {
		e, err := f.Next(ctx)

		select {
		case events <- item{e, err}:
		case <-ctx.Done():
			return
		}

		if err != nil {
			return
		}
	}
}

// write writes an event and reports whether it is the last one that the client wants.
func (c *client) write(it item, flush bool) (done bool, err error) {
	if it.err != nil {
		return false, it.err
	}

	text, err := encode(it.event)
	if err != nil {
		return false, err
	}

	done = c.follow.Turn != "" && it.event.Event.Kind == stream.KindEnd

	return done, c.send(text, flush || done)
}

// resync tells the client to forget its last id and all it has.
func (c *client) resync() error {
	text, err := format("", eventResync, resyncData{"the place after this id is not stored any more"})
	if err != nil {
		return err
	}

	return c.send(text, true)
}

// send writes text and, if asked, everything before it to the client, within the time that a client may take.
func (c *client) send(text []byte, flush bool) error {
	if err := c.control.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout)); err != nil {
		return fmt.Errorf("limit write: %w", err)
	}

	if _, err := c.out.Write(text); err != nil {
		return fmt.Errorf("write event: %w", err)
	}

	if !flush {
		return nil
	}

	if err := c.control.Flush(); err != nil {
		return fmt.Errorf("send event: %w", err)
	}

	return nil
}
