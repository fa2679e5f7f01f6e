package main

import (
	"context"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/system"
)

// injectAll injects the planned faults at their times and returns when the run's time is over and everything is well
// again. A fault for which every instance suffers another one already is skipped.
func (r *runner) injectAll(ctx context.Context, faults []plan.Fault) {
	ctx, stop := context.WithDeadline(ctx, r.begun.Add(r.duration))
	defer stop()
	var (
		suffering sync.WaitGroup
		mu        sync.Mutex
	)
	defer suffering.Wait()
	for _, f := range faults {
		if !until(ctx, r.begun.Add(f.At)) {
			return
		}
		inject, ok := r.system.Reserve(f)
		if !ok {
			r.skipped++

			continue
		}
		suffering.Go(func() {
			done := inject(ctx, func(at time.Time) { r.begins(f, at) })
			r.recorder.Fault(string(f.Target), done.From, done.To)
			mu.Lock()
			defer mu.Unlock()
			r.faults = append(r.faults, done)
			r.tell(describe(&done))
		})
	}
	<-ctx.Done()
}

// begins notes the kill of a worker right before it happens.
func (r *runner) begins(f plan.Fault, at time.Time) {
	if f.Kind == plan.Kill && (f.Target == plan.LLM || f.Target == plan.Relay) {
		r.recorder.Kill(string(f.Target), at)
	}
}

func describe(i *system.Injected) string {
	return string(i.Kind) + " " + i.Unit + " " + i.To.Sub(i.From).Round(time.Millisecond).String()
}

// until waits for a time; false says that ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
