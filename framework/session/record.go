package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// State says where a session is in its life. One that has expired is not there at all.
type State string

// The states.
const (
	// Active: turns are posted in it.
	Active State = "active"
	// Ended: [Store.End] has ended it. A turn that is posted later begins it anew.
	Ended State = "ended"
)

// Graph says which components a component's output goes to.
type Graph map[string][]string

// Chain returns the graph of components that follow one another.
func Chain(components ...string) Graph {
	g := make(Graph, len(components))
	for i := 1; i < len(components); i++ {
		g[components[i-1]] = []string{components[i]}
	}

	return g
}

// DefaultGraph is what a session has when nothing else is said: input, llm, output.
func DefaultGraph() Graph { return Chain("input", "llm", "output") }

// Has reports whether a component is part of the graph.
func (g Graph) Has(component string) bool {
	_, from := g[component]

	return from || slices.ContainsFunc(slices.Collect(maps.Values(g)), func(to []string) bool {
		return slices.Contains(to, component)
	})
}

// Session is what is known of a session as a whole.
type Session struct {
	// ID is the session's id as the store that returned it knows it: for the store of a tenant the tenant's own.
	ID string `json:"id"`
	// Tenant whose session it is; empty for one without a tenant.
	Tenant string `json:"tenant,omitempty"`
	// State is where it is in its life.
	State State `json:"state"`
	// Graph describes its components for those who look at it; routing follows from the components' own settings.
	Graph Graph `json:"graph"`
	// Metadata is the application's: UTF-8, with the graph at most half of bus.Info.MaxBody as JSON.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Components have saved state in the session.
	Components []string `json:"components,omitempty"`
	// Created and Updated are by the clocks of those who did it.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`

	// Write tells whether a change whose outcome was unknown has been stored.
	Write string `json:"write"`
}

// begin makes it one that has just begun.
func (s *Session) begin() { s.State, s.Components, s.Created = Active, nil, time.Now().UTC() }

var (
	// errState: the session's state is none that exists.
	errState = errors.New("use active or ended")
	// errText: JSON would store something else.
	errText = errors.New("use valid UTF-8")
)

// check reports everything in the session that can't be stored, as bus.ErrInvalid.
func (s *Session) check() error {
	var errs []error
	if s.State != Active && s.State != Ended {
		errs = append(errs, fmt.Errorf("state %.40q: %w", s.State, errState))
	}

	for from, targets := range s.Graph {
		for _, id := range append([]string{from}, targets...) {
			errs = append(errs, subjects.CheckID("component", id))
		}
	}

	for name, value := range s.Metadata {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			errs = append(errs, fmt.Errorf("metadata %.40q: %w", name, errText))
		}
	}

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	return nil
}

// given returns how many bytes the record has that the application gives, as it is stored. Those of the components are
// for the session to add.
func (s *Session) given() (int, error) {
	value, err := json.Marshal(struct {
		Graph    Graph             `json:"graph"`
		Metadata map[string]string `json:"metadata"`
	}{s.Graph, s.Metadata})

	return len(value), err
}

// Filter selects sessions. What is zero doesn't matter; what is set must all hold.
type Filter struct {
	// Component is part of the session's graph, or has saved state in it.
	Component string
	// State is the one it is in.
	State State
	// Tenant whose session it is; for a store that has no tenant of its own.
	Tenant string
	// Since and Before bound when it was created, the first included.
	Since, Before time.Time
}

func (f Filter) matches(s *Session) bool {
	return (f.Component == "" || s.Graph.Has(f.Component) || slices.Contains(s.Components, f.Component)) &&
		(f.State == "" || f.State == s.State) && (f.Tenant == "" || f.Tenant == s.Tenant) &&
		(f.Since.IsZero() || !s.Created.Before(f.Since)) && (f.Before.IsZero() || s.Created.Before(f.Before))
}
