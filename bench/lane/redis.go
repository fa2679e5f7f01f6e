package lane

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Redis is a connection to a Redis without anything in between.
type Redis struct {
	client *redis.Client
	next   int
}

// NewRedis returns the lanes of a server. The caller closes the client.
func NewRedis(client *redis.Client) *Redis { return &Redis{client: client} }

// Open opens a lane: XADD, received by XREAD that blocks.
func (r *Redis) Open(context.Context) (Lane, error) {
	r.next++

	return &entries{client: r.client, key: fmt.Sprint("raw:", r.next), last: "0"}, nil
}

type entries struct {
	client *redis.Client
	key    string
	last   string
	got    []redis.XMessage
}

// Send implements [Lane].
func (l *entries) Send(ctx context.Context, data []byte) error {
	//nolint:wrapcheck // the caller says which lane it was
	return l.client.XAdd(ctx, &redis.XAddArgs{Stream: l.key, Values: []any{"d", data}}).Err()
}

// Receive implements [Lane].
func (l *entries) Receive(ctx context.Context) ([]byte, error) {
	for len(l.got) == 0 {
		read, err := l.client.XRead(ctx, &redis.XReadArgs{Streams: []string{l.key, l.last}, Block: 0}).Result()
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller says which lane it was
		}

		l.got = read[0].Messages
	}

	m := l.got[0]
	l.got, l.last = l.got[1:], m.ID

	data, _ := m.Values["d"].(string)

	return []byte(data), nil
}

// Close implements [Lane].
func (l *entries) Close(context.Context) error { return nil }
