package call

import (
	"context"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// result is what became of one of two tries.
type result struct {
	body []byte
	err  error
}

// hedged makes a try, and another one at another instance when the first takes too long. The first reply counts; the
// other try is cancelled and has ended when hedged returns.
func (f *flight) hedged(ctx context.Context, to bus.Endpoint, permit *breaker.Permit) ([]byte, error) {
	f.asked = to.String()

	if f.request.Hedge <= 0 {
		return f.attempt(ctx, to, permit)
	}

	results := make(chan result, 2)

	var tries sync.WaitGroup
	defer tries.Wait()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	try := func(to bus.Endpoint, permit *breaker.Permit) {
		tries.Go(func() {
			body, err := f.attempt(ctx, to, permit)
			results <- result{body, err}
		})
	}

	try(to, permit)

	timer := time.NewTimer(f.request.Hedge)
	defer timer.Stop()

	for running := 1; ; {
		select {
		case r := <-results:
			running--
			if r.err == nil || running == 0 {
				return r.body, r.err
			}
		case <-timer.C:
			if second, leave, ok := f.second(to); ok {
				running++

				try(second, leave)
			}
		}
	}
}

// second returns another instance than the first one, if there is one and the budget allows it.
func (f *flight) second(first bus.Endpoint) (bus.Endpoint, *breaker.Permit, bool) {
	other := *f
	other.refused = map[bus.Endpoint]bool{first: true}

	for to := range f.refused {
		other.refused[to] = true
	}

	to, permit, err := other.choose()
	if err != nil {
		return to, nil, false
	}

	if !f.client.budget.spend() {
		permit.Done(breaker.Ignored)

		return to, nil, false
	}

	return to, permit, true
}
