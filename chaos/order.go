package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
)

// crowd is how much a run of many sessions posts.
type crowd struct {
	instances, sessions, turns int

	rate float64 // turns per second
}

// posters is how many turns are being posted at once, at most.
const posters = 16

// runOrder builds what it needs and shows the order and the cost of the turns of many sessions.
func runOrder(ctx context.Context, out io.Writer) error {
	return inFolder(false, out, func(dir string) error {
		if err := build(ctx, dir, 0); err != nil {
			return err
		}

		return order(ctx, dir, binaries(dir), crowd{instances: 8, sessions: 1000, turns: 20, rate: 300}, out)
	})
}

// order posts the crowd's turns, in a random order of sessions, and checks from the logs and from the handlers' clocks
// that those of each session ran one after another as they were posted.
func order(ctx context.Context, dir, bin string, c crowd, out io.Writer) error {
	s, err := system.Start(ctx, system.Config{
		Dir: dir, Bin: bin, Plain: true, Instances: map[plan.Target]int{plan.Relay: c.instances},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := dial.Open(ctx, s.Server(), dial.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }() // everything is stored
	client, err := framework.Connect(ctx, framework.Config{Bus: b})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	q := &queue{crowd: c, bus: b, client: client, posted: make([][]time.Time, c.sessions)}
	if err := q.postAll(ctx); err != nil {
		return err
	}
	found, err := q.checkAll(ctx)
	if err != nil {
		return err
	}
	q.print(out, b.Info())
	for _, v := range found[:min(len(found), 10)] {
		fmt.Fprintf(out, "  %v\n", v)
	}
	if len(found) > 0 {
		return fmt.Errorf("%w %d times", errViolated, len(found))
	}

	return nil
}

// queue is the crowd's turns and what became of them.
type queue struct {
	crowd

	bus    bus.Bus
	client *framework.Client

	mu     sync.Mutex
	posted [][]time.Time // of each session: when each turn's post had returned
	posts  []time.Duration
	starts []time.Duration // from the return of the post to the begin of the handler
	raw    []time.Duration
}

// postAll posts all turns at the crowd's rate. Each session belongs to one poster, so that its order is known.
func (q *queue) postAll(ctx context.Context) error {
	work := make([]chan int, posters)
	group, ctx := errgroup.WithContext(ctx)
	for i := range work {
		work[i] = make(chan int, q.sessions)
		group.Go(func() error {
			for session := range work[i] {
				if err := q.post(ctx, session); err != nil {
					return err
				}
			}

			return nil
		})
	}
	group.Go(func() error {
		defer func() {
			for _, w := range work {
				close(w)
			}
		}()

		return q.deal(ctx, work)
	})

	return group.Wait()
}

// deal hands out turns to posters at the crowd's rate, from all sessions in turn, and measures what an append costs in
// between.
func (q *queue) deal(ctx context.Context, work []chan int) error {
	const rawEvery = 20
	tick := time.NewTicker(time.Duration(float64(time.Second) / q.rate))
	defer tick.Stop()
	for n := range q.turns {
		for i, session := range rand.Perm(q.sessions) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			if i%rawEvery == 0 {
				if err := q.append(ctx, n*q.sessions+i); err != nil {
					return err
				}
			}
			select {
			case work[session%len(work)] <- session:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}

	return nil
}

func (q *queue) session(i int) string { return "s" + strconv.Itoa(i) }

func (q *queue) turn(i int) string { return "t" + strconv.Itoa(i) }

func (q *queue) post(ctx context.Context, session int) error {
	p := framework.Post{Session: q.session(session), Component: string(plan.Relay), ID: q.turn(len(q.posted[session]))}
	begun := time.Now()
	if _, err := q.client.Post(ctx, p, []byte("x")); err != nil {
		return err
	}
	done := time.Now()
	q.posted[session] = append(q.posted[session], done)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.posts = append(q.posts, done.Sub(begun))

	return nil
}

// append measures one fenced append, which is one JetStream publish and its acknowledgement.
func (q *queue) append(ctx context.Context, i int) error {
	id := bus.StreamID{Session: "raw" + strconv.Itoa(i), Stream: "raw"}
	f := &bus.Frame{ID: id, Attempt: 1, Writer: "raw", Begin: true, Type: bus.Text, Lengths: []int{1}, Body: []byte("x")}
	begun := time.Now()
	if _, err := q.bus.Append(ctx, f, nil); err != nil && !errors.Is(err, bus.ErrUnknown) {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.raw = append(q.raw, time.Since(begun))

	return nil
}

func (q *queue) print(out io.Writer, info bus.Info) {
	fmt.Fprintf(out, "order: %d turns of %d sessions over %d instances at %v turns/s, %s (%s): in order, one at a time\n",
		len(q.posts), q.sessions, q.instances, q.rate, info.Kind, info.Durability)
	for _, row := range []struct {
		name  string
		times []time.Duration
	}{
		{"one append", q.raw}, {"post a turn, input and all", q.posts}, {"from there to the handler", q.starts},
	} {
		slices.Sort(row.times)
		fmt.Fprintf(out, "  %-28s %s\n", row.name, percentiles(row.times))
	}
}
