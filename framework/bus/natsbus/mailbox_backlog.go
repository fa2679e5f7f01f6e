package natsbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// queueJSON is what is asked of a component's consumer or, where nobody has made it yet, of the JetStream stream.
type queueJSON struct {
	answer

	Now       time.Time `json:"ts"`
	Pending   int       `json:"num_pending"` // of the consumer
	Subjects  int       `json:"total"`       // of the JetStream stream
	Delivered struct {
		Stream uint64 `json:"stream_seq"`
	} `json:"delivered"`
}

// Backlog says how far the workers of a component are behind; see [bus.Mailbox]. It asks nobody while a worker of this
// bus has a request for mailboxes open that brings none; else it asks the leader of the component's consumer, and where
// something waits that of the JetStream stream for the first of it.
//
// It counts what the consumer has not delivered yet: not what waits to be delivered again, which the server doesn't tell
// from what is being worked on. An entry that calls nobody may be counted for a moment.
//
// nats-server 2.15 counts an entry once too often when it is asked between that entry's delivery and the signal that it
// was stored, which comes later when the server is busy. It notices when a worker waits and there is nothing to deliver.
func (b *Bus) Backlog(ctx context.Context, component string) (bus.Backlog, error) {
	filter, err := b.ns.ReadyFilter(component)
	if err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w: %w", bus.ErrInvalid, err)
	}

	if err := ctx.Err(); err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	if b.hungry(component) && b.link.Now().Up {
		return bus.Backlog{}, nil
	}

	q, err := b.queue(ctx, component, filter)
	if err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	waiting := q.Pending + q.Subjects
	if waiting == 0 {
		return bus.Backlog{}, nil
	}

	first, err := b.nextMsg(ctx, b.ns.TurnsStream(), filter, q.Delivered.Stream+1)
	if err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	if first == nil { // worked off meanwhile
		return bus.Backlog{}, nil
	}

	return bus.Backlog{Waiting: waiting, Oldest: max(0, q.Now.Sub(first.Time))}, nil
}

// hungry reports whether a worker of the component waits for mailboxes. One that is full doesn't, also where it has adopted
// the last one.
func (b *Bus) hungry(component string) bool {
	waits := false

	b.workers.Each(func(w *worker) {
		waits = waits || w.component == component && w.hungry.Load() && !w.room.Full()
	})

	return waits
}

// queue asks for the state of a component's mailboxes.
func (b *Bus) queue(ctx context.Context, component, filter string) (queueJSON, error) {
	turns := b.ns.TurnsStream()
	q, err := b.queueOf(ctx, "CONSUMER.INFO."+turns+"."+b.ns.Consumer(component), nil)

	if ae, ok := errors.AsType[*apiError](err); !ok || ae.Code != codeConsumerNotFound {
		return q, err
	}

	// No worker was ever there, so each register has called one. The offset keeps their names out of the answer.
	request, err := json.Marshal(struct {
		Filter string `json:"subjects_filter"`
		Offset int    `json:"offset"`
	}{filter, math.MaxInt32})
	if err != nil {
		return q, err
	}

	return b.queueOf(ctx, "STREAM.INFO."+turns, request)
}

func (b *Bus) queueOf(ctx context.Context, what string, request []byte) (q queueJSON, err error) {
	err = b.api(ctx, what, request, &q)

	return q, err
}
