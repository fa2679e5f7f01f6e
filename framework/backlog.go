package framework

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// backlogTimeout bounds one question to the bus. What comes later than that says little about now.
const backlogTimeout = time.Second

// watchBacklog asks the bus once for each heartbeat how far the component is behind, until ctx ends. Heartbeats don't
// wait for it: they tell what was known last.
func (p *presence) watchBacklog(ctx context.Context) {
	beat := p.Heartbeat()

	for {
		p.backlog.Store(p.askBacklog(ctx))

		pause := time.NewTimer(beat - rand.N(beat/10+1)) // so that not all ask at once

		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()

			return
		}
	}
}

// askBacklog returns nil when the bus doesn't say.
func (p *presence) askBacklog(ctx context.Context) *bus.Backlog {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()

	b, err := p.bus.Backlog(ctx, p.Instance().Component)
	if err != nil {
		return nil
	}

	return &b
}
