package registry

import (
	"cmp"
	"slices"
	"time"
)

// Query selects instances. What is empty doesn't matter; what is set must all hold.
type Query struct {
	// Component is the component's name.
	Component string
	// Instance is the instance's id.
	Instance string
	// Type is the component's type.
	Type string
	// Capability is one that the instance must have.
	Capability string
	// State is the state it must be in.
	State State
	// Session lets Choose return the same instance for the same session, on every machine, while it can be.
	Session string
	// Prefer is the id of the instance that Choose returns if it can take work, such as the one that worked for a
	// session before.
	Prefer string
}

func (q *Query) matches(i *Instance) bool {
	return (q.Component == "" || q.Component == i.Component) && (q.Instance == "" || q.Instance == i.ID) &&
		(q.Type == "" || q.Type == i.Type) && (q.Capability == "" || i.Has(q.Capability)) &&
		(q.State == "" || q.State == i.State)
}

// Find returns the instances that a query selects, ordered by component and id.
func (r *Registry) Find(q Query) []Instance {
	r.mu.RLock()
	defer r.mu.RUnlock()

	return r.find(q)
}

// find is Find with the lock held.
func (r *Registry) find(q Query) []Instance {
	var found []Instance

	for _, k := range r.view.known {
		if q.matches(&k.instance) {
			found = append(found, k.instance)
		}
	}

	slices.SortFunc(found, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.ID, b.ID))
	})

	return found
}

// Heard returns how long ago an instance was last heard of, by this machine's clock, and false for one that is not there.
func (r *Registry) Heard(component, instance string) (time.Duration, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()

	k, there := r.view.known[component+"."+instance]

	return time.Since(k.heard), there
}
