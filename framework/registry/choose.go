package registry

import (
	"math/rand/v2"

	"github.com/woodwork-go/woodwork/framework/internal/rendezvous"
)

// Choose picks one ready instance that a query selects; false when there is none. It is the preferred one if the query
// names one, else the one that the session falls to if the query names a session, else the less loaded of two that are
// drawn by chance. One that is full is picked only when all are.
func (r *Registry) Choose(q Query) (Instance, bool) {
	q.State = Ready
	candidates := vacant(r.Find(q))

	if len(candidates) == 0 {
		return Instance{}, false
	}

	if q.Prefer != "" {
		for _, i := range candidates {
			if i.ID == q.Prefer {
				return i, true
			}
		}
	}

	if q.Session != "" {
		return candidates[rendezvous.Pick(q.Session, candidates, name)], true
	}

	return lessLoaded(candidates[rand.IntN(len(candidates))], candidates[rand.IntN(len(candidates))]), true
}

// vacant leaves out full instances, unless all are full.
func vacant(all []Instance) []Instance {
	var free []Instance

	for _, i := range all {
		if !i.Load.Full() {
			free = append(free, i)
		}
	}

	if len(free) == 0 {
		return all
	}

	return free
}

func lessLoaded(a, b Instance) Instance {
	if b.Load.share() < a.Load.share() {
		return b
	}

	return a
}

func name(i Instance) string { return i.Component + "." + i.ID }
