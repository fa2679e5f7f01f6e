package framework

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// counter counts work of one kind.
type counter struct {
	done, failed atomic.Uint64
	busy         atomic.Int64 // nanoseconds
}

func (c *counter) count(took time.Duration, failed bool) {
	c.done.Add(1)
	c.busy.Add(int64(took))

	if failed {
		c.failed.Add(1)
	}
}

func (c *counter) read() bus.Work {
	return bus.Work{Done: c.done.Load(), Failed: c.failed.Load(), Busy: time.Duration(c.busy.Load())}
}

// announce shows the instance to the broker's own tools, where it has any, until stop is called. The instance works as
// well without.
func (p *presence) announce(ctx context.Context, s *Service, cfg *Config) (stop func()) {
	announcer, ok := p.bus.(bus.Announcer)
	if !ok {
		return func() {}
	}

	i := p.Instance()

	stop, err := announcer.Announce(ctx, bus.Announcement{
		At: bus.Endpoint{Component: i.Component, Instance: i.ID}, Version: i.Version, Started: i.Started,
		Description: "Woodwork component of type " + i.Type, Metadata: facts(&i),
		Work: func() []bus.Work { return p.work(s) },
	})
	if err != nil {
		cfg.Logger.Warn().Err(err).Msg("could not show this instance to the broker's tools")

		return func() {}
	}

	return stop
}

// facts are what does not change of an instance, as far as it has them.
func facts(i *registry.Instance) map[string]string {
	all := map[string]string{
		"type": i.Type, "capabilities": strings.Join(i.Capabilities, ","), "host": i.Host, "pid": strconv.Itoa(i.PID),
		"health": i.Endpoint,
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}

	return all
}

// work is what the instance has done of each kind that it can do, with what it is like now.
func (p *presence) work(s *Service) []bus.Work {
	now, err := json.Marshal(struct {
		registry.Report

		State  registry.State `json:"state"`
		Listed bool           `json:"listed"`
	}{p.report(), p.Instance().State, p.Listed()})
	if err != nil {
		now = nil
	}

	var all []bus.Work

	for _, kind := range []struct {
		name    bus.WorkKind
		counter *counter
		has     bool
	}{{bus.WorkTurns, &p.turns, s.Handler != nil}, {bus.WorkCalls, &p.calls, len(s.Calls) > 0}} {
		if kind.has {
			w := kind.counter.read()
			w.Kind, w.Data = kind.name, now
			all = append(all, w)
		}
	}

	return all
}
