package main

import (
	"context"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/load"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/system"
)

// injectAll injects the planned faults at their times and returns when the run's time is over and everything is well
// again. A fault for which every instance suffers another one already is skipped.
func (r *runner) injectAll(ctx context.Context, users *load.Runner, faults []plan.Fault) {
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
			if done.Among != nil {
				users.Wiped(wiped(&done))
			}
			r.disturbs(f, done.From, done.To)
			mu.Lock()
			defer mu.Unlock()
			r.faults = append(r.faults, done)
			r.tell(describe(&done))
		})
	}
	<-ctx.Done()
}

// wiped returns what an operator's fault took away. Without the server's answer that may happen a while later.
func wiped(done *system.Injected) load.Wipe {
	const straggle = 15 * time.Second
	w := load.Wipe{
		Window: check.Window{From: done.From, To: done.To}, Among: done.Among, Letters: done.Target == plan.Letters,
	}
	if done.Err != nil {
		w.To = w.To.Add(straggle)
	}

	return w
}

// disturbs notes whose turns a fault may have held up.
func (r *runner) disturbs(f plan.Fault, from, to time.Time) {
	targets := []plan.Target{f.Target}
	switch f.Target {
	case plan.All, plan.Logs, plan.Letters:
		targets = []plan.Target{plan.Server}
	case plan.LLM, plan.Relay, plan.Input, plan.Output, plan.Server:
	}
	for _, t := range targets {
		r.recorder.Fault(string(t), from, to)
	}
}

// begins notes the kill of a worker right before it happens.
func (r *runner) begins(f plan.Fault, at time.Time) {
	if f.Kind == plan.Kill && (f.Target == plan.LLM || f.Target == plan.Relay) {
		r.recorder.Kill(string(f.Target), at)
	}
}

func describe(i *system.Injected) string {
	text := i.Name() + " " + i.Unit + " " + i.To.Sub(i.From).Round(time.Millisecond).String()
	if i.Kind == plan.Step {
		text += " by " + i.By.String()
	}
	if i.Err != nil {
		text += ": " + i.Err.Error()
	}

	return text
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
