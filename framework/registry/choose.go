package registry

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
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
		return rendezvous(q.Session, candidates), true
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

// rendezvous returns the candidate with the highest hash together with the session: the same everywhere, and when an
// instance comes or goes only its own sessions move.
func rendezvous(session string, candidates []Instance) Instance {
	var (
		best    Instance
		highest uint64
	)

	for n, i := range candidates {
		h := fnv.New64a()
		_, _ = io.WriteString(h, session+"."+i.Component+"."+i.ID) // a hash takes everything

		if sum := mix(h.Sum64()); n == 0 || sum > highest {
			best, highest = i, sum
		}
	}

	return best
}

// mix spreads a hash over all its bits (the finalizer of MurmurHash3): FNV's high bits hardly depend on the last bytes.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53

	return h ^ h>>33
}
