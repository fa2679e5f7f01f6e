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
	open map[string]map[string]string // by instance
	seen map[string]int               // by breaker
}

func newOpenings() *openings {
	return &openings{open: map[string]map[string]string{}, seen: map[string]int{}}
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
	before := o.open[i.ID]
	for name := range i.Breakers {
		if _, open := before[name]; !open {
			o.seen[name]++
		}
	}
	o.open[i.ID] = i.Breakers
}

// counts returns how often each breaker was seen to open.
func (o *openings) counts() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()

	return maps.Clone(o.seen)
}
