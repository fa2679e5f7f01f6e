package row

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/subjects"

	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

const (
	crowdEntries  = 1_000_000
	crowdSessions = 100_000
	caughtUp      = 100 // frames that are read
)

// catchUp reads a stream whose frames lie among those of many other sessions, from its beginning.
func catchUp(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	b, err := natsbus.Open(ctx, natsbus.Config{URL: url, Shards: 1}) // all of them in one log
	if err != nil {
		return err //nolint:wrapcheck // a DialError says all there is to say
	}

	e.onClose(func() error { return b.Close(context.WithoutCancel(ctx)) })

	crowd, err := newCrowd(url)
	if err != nil {
		return err
	}
	defer crowd.conn.Close()

	var last *bus.Entry

	id := bus.StreamID{Session: "reader", Stream: "out"}

	for i := range caughtUp {
		if err := crowd.add(crowdEntries / caughtUp); err != nil {
			return err
		}

		last, err = b.Append(ctx, &bus.Frame{
			ID: id, Attempt: 1, Writer: "bench", Type: bus.Text, First: uint64(i), Lengths: []int{len(token)}, Body: []byte(token),
		}, last)
		if err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}

	took := measure.NewLatency()

	for range e.pick(50, 200) {
		begun := time.Now()
		if err := readAll(ctx, b, id); err != nil {
			return err
		}

		took.Add(time.Since(begun))
	}

	out.Add("100 frames in a log of 1 M entries of 100,000 sessions", "Woodwork on JetStream",
		millis("p50 ms", took.P(median)), millis("p99 ms", took.P(tail)))
	out.Set("catchup_100_frames_ms_in_1M", millis("", took.P(median)).Value)

	return nil
}

func readAll(ctx context.Context, log bus.Log, id bus.StreamID) error {
	last, err := log.Last(ctx, id)
	if err != nil {
		return fmt.Errorf("find the end: %w", err)
	}

	frames := 0

	for _, err := range log.Read(ctx, last, bus.Cursor{}) {
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}

		frames++
	}

	if frames != caughtUp {
		return fmt.Errorf("%w: %d of %d frames", errIncomplete, frames, caughtUp)
	}

	return nil
}

// crowd writes entries of other sessions.
type crowd struct {
	conn *nats.Conn
	js   jetstream.JetStream
	ns   subjects.Namespace
	next int
}

func newCrowd(url string) (*crowd, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}

	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4000)) //nolint:mnd // as fast as the server goes
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}

	ns, err := subjects.New(subjects.DefaultApp, 1)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says which part is wrong
	}

	return &crowd{conn: conn, js: js, ns: ns}, nil
}

func (c *crowd) add(n int) error {
	for range n {
		subject, err := c.ns.Log("other-"+strconv.Itoa(c.next%crowdSessions), "out")
		if err != nil {
			return err //nolint:wrapcheck // it says which part is wrong
		}

		c.next++

		if _, err := c.js.PublishAsync(subject, []byte(token)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}

	<-c.js.PublishAsyncComplete()

	return nil
}
