package main

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// openings counts how often breakers opened, by what instances say in the registry. One that opens and closes again
// between two heartbeats is not seen.
type openings struct {
	mu   sync.Mutex
	open map[string]map[string]bool // by instance and breaker
	seen map[string]int             // by breaker
}

func newOpenings() *openings {
	return &openings{open: map[string]map[string]bool{}, seen: map[string]int{}}
}

// watch counts until ctx ends.
func (o *openings) watch(ctx context.Context, client *framework.Client) error {
	r, err := client.Registry(ctx)
	if err != nil {
		return fmt.Errorf("watch breakers: %w", err)
	}
	for e := range r.Events(ctx) {
		o.note(&e.Instance)
		for i := range e.All {
			o.note(&e.All[i])
		}
	}

	return nil
}

// note counts the breakers of an instance that were closed when it was last heard of.
func (o *openings) note(i *registry.Instance) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, now := o.open[i.ID], map[string]bool{}
	for _, s := range i.Breakers {
		if s.Usual() {
			continue
		}
		now[s.Name] = true
		if !before[s.Name] {
			o.seen[s.Name]++
		}
	}
	o.open[i.ID] = now
}

// counts returns how often each breaker was seen to open.
func (o *openings) counts() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()

	return maps.Clone(o.seen)
}
