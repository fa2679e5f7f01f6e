package natsbus

import (
	"context"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

var _ bus.Clock = (*Bus)(nil)

// Now returns the time of the leader of turns; see [bus.Clock].
func (b *Bus) Now(ctx context.Context) (time.Time, error) {
	if b.isClosing() {
		return time.Time{}, fmt.Errorf("ask for the time: %w", b.closedError())
	}
	now, err := b.clock.Now(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}

	return now, nil
}

// askTime asks the leader of turns for the time, which is part of what it says of its JetStream stream.
func (b *Bus) askTime(ctx context.Context) (time.Time, error) {
	var got struct {
		answer

		Now time.Time `json:"ts"`
	}
	err := b.api(ctx, "STREAM.INFO."+b.ns.TurnsStream(), nil, &got)
	if err == nil && got.Now.IsZero() {
		err = fmt.Errorf("answer without a time: %w", bus.ErrUnsupported)
	}

	return got.Now, err
}
