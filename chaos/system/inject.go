package system

import (
	"context"
	"time"

	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/proxy"
)

// Injected is a fault that was injected.
type Injected struct {
	plan.Fault

	// Unit is the name of the one that suffered it.
	Unit string `json:"unit"`
	// From and To are when.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Reserve chooses the unit that a fault is for and keeps other faults away from it. It returns false when every one
// that could be chosen suffers another fault. Otherwise inject must be called; it returns when the fault is over, or
// ctx ended, and everything is well again.
func (s *System) Reserve(f plan.Fault) (inject func(ctx context.Context, begins func(time.Time)) Injected, ok bool) {
	units := s.units[f.Target]
	for i := range units {
		u := units[(f.Pick+i)%len(units)]
		if !u.acquire() {
			continue
		}

		return func(ctx context.Context, begins func(time.Time)) Injected {
			defer u.release()
			done := Injected{Fault: f, Unit: u.name, From: time.Now()}
			begins(done.From)
			u.suffer(ctx, f)
			done.To = time.Now()

			return done
		}, true
	}

	return nil, false
}

// suffer makes the unit fail for as long as the fault says.
func (u *unit) suffer(ctx context.Context, f plan.Fault) {
	switch f.Kind {
	case plan.Kill:
		u.kill(ctx, f.For)
	case plan.Pause:
		u.suspend(ctx, f.For)
	case plan.Cut:
		u.link.Cut()
	case plan.Delay:
		u.link.Delay(f.By)
	case plan.StallUp:
		u.link.Stall(proxy.Up)
	case plan.StallDown:
		u.link.Stall(proxy.Down)
	}
	if u.link != nil && (f.Kind == plan.Delay || f.Kind == plan.StallUp || f.Kind == plan.StallDown) {
		pause(ctx, f.For)
		u.link.Heal()
	}
}
