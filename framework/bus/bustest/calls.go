package bustest

import (
	"context"
	"errors"
	"math"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// calls returns every call of the port that answers once, with arguments it accepts. e is a stored entry.
func calls(b bus.Bus, e *bus.Entry) map[string]func(context.Context) error {
	session, stream := e.ID.Session, e.ID.Stream
	buried := bus.Letter{
		ID: "turn", Session: session, Component: stream, Position: bus.Position{Minor: math.MaxUint32},
	}

	all := map[string]func(context.Context) error{
		"read":   func(ctx context.Context) error { return readErr(ctx, b, e) },
		"dead":   func(ctx context.Context) error { return deadErr(ctx, b, "") },
		"drop":   func(ctx context.Context) error { return b.Drop(ctx, &bus.DeadLetter{Letter: buried}) },
		"buried": func(ctx context.Context) error { _, err := b.Buried(ctx, &buried); return err },
		"backlog": func(ctx context.Context) error {
			_, err := b.Backlog(ctx, stream)

			return err
		},
		"append": func(ctx context.Context) error {
			f := &bus.Frame{ID: e.ID, Attempt: e.Attempt, Writer: "w", First: e.End().Index, Type: bus.Text}
			_, err := b.Append(ctx, f, e)

			return err
		},
	}

	for name, call := range idCalls(b) {
		all[name] = func(ctx context.Context) error { return call(ctx, session, stream) }
	}

	for name, call := range keyCalls(b) {
		all[name] = func(ctx context.Context) error { return call(ctx, bus.Sessions, session) }
	}

	return all
}

// idCalls returns the calls that take two ids. Both are session and stream, session and component for a letter, or
// instance and component for a call, which nobody serves.
func idCalls(b bus.Bus) map[string]func(ctx context.Context, session, stream string) error {
	return map[string]func(context.Context, string, string) error{
		"append first": func(ctx context.Context, session, stream string) error {
			id := bus.StreamID{Session: session, Stream: stream}
			_, err := b.Append(ctx, &bus.Frame{ID: id, Attempt: 1, Writer: "w", Type: bus.Text, Begin: true}, nil)

			return err
		},
		"last": func(ctx context.Context, session, stream string) error {
			_, err := b.Last(ctx, bus.StreamID{Session: session, Stream: stream})

			return err
		},
		"follow": func(ctx context.Context, session, stream string) error {
			stop, err := b.Follow(ctx, bus.StreamID{Session: session, Stream: stream}, func(*bus.Entry) {})
			if err == nil {
				stop()
			}

			return err
		},
		"signal": func(ctx context.Context, session, stream string) error {
			return b.Signal(ctx, bus.StreamID{Session: session, Stream: stream}, nil)
		},
		"listen": func(ctx context.Context, session, stream string) error {
			stop, err := b.Listen(ctx, bus.StreamID{Session: session, Stream: stream}, func([]byte) {})
			if err == nil {
				stop()
			}

			return err
		},
		"call": func(ctx context.Context, instance, component string) error {
			_, err := ask(ctx, b, bus.Endpoint{Component: component, Instance: instance}, "")
			if errors.Is(err, bus.ErrNoResponder) {
				return nil
			}

			return err
		},
		"serve": func(ctx context.Context, instance, component string) error {
			stop, err := b.Serve(ctx, bus.Endpoint{Component: component, Instance: instance}, echo)
			if err == nil {
				stop()
			}

			return err
		},
		"post": func(ctx context.Context, session, component string) error {
			return b.Post(ctx, &bus.Letter{ID: "turn", Session: session, Component: component})
		},
		"bury": func(ctx context.Context, session, component string) error {
			return b.Bury(ctx, &bus.DeadLetter{Letter: bus.Letter{ID: "turn", Session: session, Component: component}})
		},
	}
}

// keyCalls returns the calls that take a bucket and a key.
func keyCalls(b bus.Bus) map[string]func(ctx context.Context, bucket bus.Bucket, key string) error {
	return map[string]func(context.Context, bus.Bucket, string) error{
		"get": func(ctx context.Context, bucket bus.Bucket, key string) error {
			_, err := b.Get(ctx, bucket, key)

			return err
		},
		"set": func(ctx context.Context, bucket bus.Bucket, key string) error {
			_, err := b.Set(ctx, bucket, key, []byte("x"), 0, 0)

			return err
		},
		"delete": func(ctx context.Context, bucket bus.Bucket, key string) error {
			return b.Delete(ctx, bucket, key, 0)
		},
	}
}

func readErr(ctx context.Context, b bus.Bus, last *bus.Entry) error {
	for _, err := range b.Read(ctx, last, bus.Cursor{}) {
		return err
	}

	return nil
}

func watchErr(ctx context.Context, b bus.Bus, bucket bus.Bucket, prefix string) error {
	for _, err := range b.Watch(ctx, bucket, prefix) {
		return err
	}

	return nil
}

// workErr is the error of Work, which must not begin.
func workErr(ctx context.Context, b bus.Bus, component string) error {
	return b.Work(ctx, component, bus.WorkConfig{}, func(context.Context, bus.Claim) {})
}
