package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/woodwork-go/woodwork/subjects"
)

// NATS is the operator of a nats-server. The zero Namespace is that of the services of a run.
type NATS struct {
	// Addr is where the server is. Required.
	Addr string

	names subjects.Namespace
}

// keepEvery is how often Keep looks.
const keepEvery = 500 * time.Millisecond

// Keep sees to it that logs are kept for age and no longer, until ctx ends. A JetStream stream that is made again while
// the server runs gets its age again.
func (n *NATS) Keep(ctx context.Context, age time.Duration) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		for shard := range n.names.Shards() {
			_ = once(ctx, n.Addr, func(c net.Conn) error { return limit(c, n.names.LogStream(shard), age) }) // again soon
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// limit changes the age of a JetStream stream, if it is another one.
func limit(c net.Conn, name string, age time.Duration) error {
	w, err := openWire(c)
	if err != nil {
		return err
	}
	have, err := w.ask("STREAM.INFO."+name, nil)
	if err != nil || have.Config == nil { // the server has just begun
		return err
	}
	const key = "max_age"
	want, err := json.Marshal(age)
	if err != nil || string(have.Config[key]) == string(want) {
		return err
	}
	have.Config[key] = want
	config, err := json.Marshal(have.Config)
	if err != nil {
		return err
	}
	_, err = w.ask("STREAM.UPDATE."+name, config)

	return err
}

// Logs deletes the JetStream stream of one shard of the sessions.
func (n *NATS) Logs(ctx context.Context, pick int) (among func(session string) bool, err error) {
	shard := pick % n.names.Shards()

	return func(session string) bool { return n.names.Shard(session) == shard }, n.drop(ctx, n.names.LogStream(shard))
}

// Letters deletes the JetStream stream of turns.
func (n *NATS) Letters(ctx context.Context) error { return n.drop(ctx, n.names.TurnsStream()) }

// drop deletes a JetStream stream. One that isn't there was deleted by a try whose answer was lost.
func (n *NATS) drop(ctx context.Context, name string) error {
	return insist(ctx, n.Addr, func(c net.Conn) error {
		w, err := openWire(c)
		if err != nil {
			return err
		}
		answer, err := w.ask("STREAM.DELETE."+name, nil)
		if answer.Error.Code == http.StatusNotFound {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete JetStream stream %s: %w", name, err)
		}

		return nil
	})
}
