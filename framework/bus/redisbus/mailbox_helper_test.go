package redisbus

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// worksFor is the component of the tests of mailboxes.
const worksFor = "llm"

// turnLetter is letter number n of a session.
func turnLetter(session string, n int) *bus.Letter {
	return &bus.Letter{ID: "t" + strconv.Itoa(n), Component: worksFor, Session: session, Body: []byte("body")}
}

// posted puts letters with numbers from to below to into a mailbox.
func posted(tb testing.TB, b *Bus, session string, from, to int) {
	tb.Helper()

	for n := from; n < to; n++ {
		if err := b.Post(tb.Context(), turnLetter(session, n)); err != nil {
			tb.Fatalf("post letter %d: %v", n, err)
		}
	}
}

// working serves until the returned function is called, which returns Work's error, or the test ends.
func working(tb testing.TB, b *Bus, cfg bus.WorkConfig, serve func(context.Context, bus.Claim)) (stop func() error) {
	tb.Helper()

	ctx, cancel := context.WithCancel(tb.Context())
	over := make(chan struct{})

	var err error

	go func() {
		defer close(over)

		err = b.Work(ctx, worksFor, cfg, serve)
	}()

	stop = func() error {
		cancel()
		receive(tb, "end of Work", over)

		return err
	}
	tb.Cleanup(func() { _ = stop() })

	return stop
}

// eachLetter does every letter after passing it to see.
func eachLetter(tb testing.TB, see func(*bus.Letter)) func(context.Context, bus.Claim) {
	tb.Helper()

	return func(ctx context.Context, c bus.Claim) {
		for {
			l, err := c.Next(ctx)
			if err == nil && l != nil {
				see(l)

				err = c.Done(ctx, l)
			}

			if err != nil && !errors.Is(err, bus.ErrUnknown) && ctx.Err() == nil {
				tb.Errorf("serve: %v", err)
			}

			if err != nil || l == nil {
				return
			}
		}
	}
}
