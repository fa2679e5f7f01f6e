package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// checkAll waits for the answers of all sessions and checks each.
func (q *queue) checkAll(ctx context.Context) ([]check.Violation, error) {
	var found []check.Violation
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(posters)
	for i := range q.sessions {
		group.Go(func() error {
			violations, err := q.check(ctx, i)
			q.mu.Lock()
			defer q.mu.Unlock()
			found = append(found, violations...)

			return err
		})
	}
	err := group.Wait()

	return found, err
}

// check reads a session from its beginning and checks it.
func (q *queue) check(ctx context.Context, i int) ([]check.Violation, error) {
	history, err := q.read(ctx, i)
	if err != nil {
		return nil, err
	}

	return append(history.Check(), q.clocks(i, history)...), nil
}

// read follows a session until its last turn has ended; a turn that takes too long is left to the check.
func (q *queue) read(ctx context.Context, i int) (*check.Session, error) {
	const patience = 30 * time.Second
	h := &check.Session{ID: q.session(i), Logs: map[string][]*bus.Entry{}}
	r := check.Reader{Name: "reader", Component: string(plan.Relay)}
	f, err := q.client.Follow(ctx, stream.FollowConfig{Session: h.ID})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	texts := map[string][]string{}
	for ended := 0; ended < q.turns; {
		e, err := f.Next(waiting)
		if waiting.Err() != nil {
			break
		}
		if err != nil {
			return nil, err
		}
		r.Events = append(r.Events, check.Event{SessionEvent: e, At: time.Now()})
		switch e.Event.Kind {
		case stream.KindChunk:
			texts[e.Info.Root] = append(texts[e.Info.Root], string(e.Event.Chunk.Data))
		case stream.KindEnd:
			ended++
		case stream.KindOpened, stream.KindSuperseded:
		}
	}
	h.Readers = []check.Reader{r}
	for n := range q.turns {
		answer := check.Answer{Chunks: texts[q.turn(n)], State: bus.Completed}
		h.Turns = append(h.Turns, check.Turn{
			ID: q.turn(n), Prompt: "x", Acked: true, Answers: map[string]check.Answer{string(plan.Relay): answer},
		})
	}

	return h, q.logs(ctx, h)
}

// logs reads what the bus holds of a session.
func (q *queue) logs(ctx context.Context, h *check.Session) error {
	ids := map[string]bool{}
	for i := range h.Turns {
		ids[h.Turns[i].ID] = true
	}
	for i := range h.Readers[0].Events {
		ids[h.Readers[0].Events[i].Info.Stream] = true
	}
	for id := range ids {
		last, err := q.bus.Last(ctx, bus.StreamID{Session: h.ID, Stream: id})
		if err != nil || last == nil {
			return errors.Join(err, ctx.Err())
		}
		for e, err := range q.bus.Read(ctx, last, bus.Cursor{}) {
			if err != nil {
				return err
			}
			h.Logs[id] = append(h.Logs[id], e)
		}
	}

	return nil
}

// clocks checks what the handlers say of when they ran, which all read the same clock.
func (q *queue) clocks(i int, h *check.Session) []check.Violation {
	var (
		found []check.Violation
		until int64
	)
	for n := range h.Turns {
		var begun, ended int64
		for _, text := range h.Turns[n].Answers[string(plan.Relay)].Chunks {
			if _, err := fmt.Sscan(text, &begun, &ended); err != nil {
				found = append(found, check.Violation{Kind: check.Diverged, Session: h.ID, Turn: h.Turns[n].ID, Text: err.Error()})
			}
		}
		if begun < until {
			found = append(found, check.Violation{
				Kind: check.Overlap, Session: h.ID, Turn: h.Turns[n].ID,
				Text: fmt.Sprintf("began %v before the turn before ended", time.Duration(until-begun)),
			})
		}
		until = ended
		q.mu.Lock()
		q.starts = append(q.starts, time.Unix(0, begun).Sub(q.posted[i][n]))
		q.mu.Unlock()
	}

	return found
}
