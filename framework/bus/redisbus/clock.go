package redisbus

import (
	"context"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

var _ bus.Clock = (*Bus)(nil)

// Now returns the server's time; see [bus.Clock].
func (b *Bus) Now(ctx context.Context) (time.Time, error) {
	err := b.ready(ctx)
	if err == nil {
		var now time.Time
		if now, err = b.clock.Now(ctx); err == nil {
			return now, nil
		}
	}

	return time.Time{}, fmt.Errorf("ask for the time: %w", err)
}

// askTime asks a server for the time.
func (b *Bus) askTime(ctx context.Context) (time.Time, error) {
	try, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, err := b.client.Time(try).Result()

	return now, b.readError(ctx, err)
}
