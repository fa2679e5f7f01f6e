package system

import (
	"context"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/proxy"
	"github.com/woodwork-go/woodwork/internal/redisproc"
)

// Injected is a fault that was injected.
type Injected struct {
	plan.Fault

	// Unit is the name of the one that suffered it.
	Unit string `json:"unit"`
	// From and To are when.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Among reports whether a session's data were wiped; nil for other faults.
	Among func(session string) bool `json:"-"`
	// Err says why the fault could not be injected.
	Err error `json:"-"`
}

// Wiper takes away by hand what the server holds.
type Wiper interface {
	// Logs takes away the streams of some sessions, which pick chooses, and reports whether a session is among them.
	Logs(ctx context.Context, pick int) (among func(session string) bool, err error)
	// Letters takes away the turns of all sessions that wait or run.
	Letters(ctx context.Context) error
}

// Reserve chooses the units that a fault is for and keeps other faults away from them. It returns false when every one
// that could be chosen suffers another fault. Otherwise inject must be called; it returns when the fault is over, or
// ctx ended, and everything is well again.
func (s *System) Reserve(f plan.Fault) (inject func(ctx context.Context, begins func(time.Time)) Injected, ok bool) {
	var reserved []*unit
	release := func() {
		for _, u := range reserved {
			u.release()
		}
	}
	for _, among := range s.suffering(f.Target) {
		u := reserve(among, f.Pick)
		if u == nil {
			release()

			return nil, false
		}
		reserved = append(reserved, u)
	}

	return func(ctx context.Context, begins func(time.Time)) Injected {
		defer release()
		done := Injected{Fault: f, Unit: reserved[0].name, From: time.Now()}
		begins(done.From)
		if f.Kind == plan.Wipe {
			done.Among, done.Err = s.wipe(ctx, f)
		} else {
			suffer(ctx, reserved, f)
		}
		done.To = time.Now()

		return done
	}, true
}

// suffering returns the units of which one each suffers a fault of a target.
func (s *System) suffering(target plan.Target) [][]*unit {
	switch target {
	case plan.Logs, plan.Letters:
		return [][]*unit{{&s.wiping}}
	case plan.All:
		return [][]*unit{s.units[plan.Server], s.units[plan.LLM], s.units[plan.Relay], s.units[plan.Input], s.units[plan.Output]}
	case plan.LLM, plan.Relay, plan.Input, plan.Output, plan.Server:
	}

	return [][]*unit{s.units[target]}
}

// reserve reserves one of some units, or returns nil when all are.
func reserve(units []*unit, pick int) *unit {
	for i := range units {
		if u := units[(pick+i)%len(units)]; u.acquire() {
			return u
		}
	}

	return nil
}

// suffer makes units fail for as long as the fault says.
func suffer(ctx context.Context, units []*unit, f plan.Fault) {
	var all sync.WaitGroup
	for _, u := range units {
		all.Go(func() { u.suffer(ctx, f) })
	}
	all.Wait()
}

// wipe takes away what the fault is for. It tries until the server answers.
func (s *System) wipe(ctx context.Context, f plan.Fault) (among func(string) bool, err error) {
	if f.Target == plan.Letters {
		return func(string) bool { return true }, s.wiper.Letters(ctx)
	}
	if s.cfg.Redis != redisproc.EverySecond {
		return s.wiper.Logs(ctx, f.Pick)
	}
	// No kill shall undo it.
	const (
		again   = 50 * time.Millisecond
		written = 3 * time.Second // by then it is on the disk
	)
	for !s.server.acquire() {
		pause(ctx, again)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	defer s.server.release()
	among, err = s.wiper.Logs(ctx, f.Pick)
	pause(ctx, written)

	return among, err
}

// suffer makes the unit fail for as long as the fault says.
func (u *unit) suffer(ctx context.Context, f plan.Fault) {
	switch f.Kind {
	case plan.Kill:
		u.kill(ctx, f.For)
	case plan.Pause:
		u.stop(ctx, f.For, false)
	case plan.Suspend, plan.SuspendAll:
		u.stop(ctx, f.For, true)
	case plan.Step:
		u.step(ctx, f.By, f.For)
	case plan.Cut:
		u.link.Cut()
	case plan.Delay:
		u.link.Delay(f.By)
	case plan.StallUp:
		u.link.Stall(proxy.Up)
	case plan.StallDown:
		u.link.Stall(proxy.Down)
	case plan.Wipe: // no unit's
	}
	if u.link != nil && (f.Kind == plan.Delay || f.Kind == plan.StallUp || f.Kind == plan.StallDown) {
		pause(ctx, f.For)
		u.link.Heal()
	}
}
