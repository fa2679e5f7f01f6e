// Package rendezvous chooses one of several by a key, so that everyone chooses the same one, and only the keys of one that
// comes or goes move (highest random weight hashing, Thaler and Ravishankar 1998).
package rendezvous

import (
	"hash/fnv"
	"io"
)

// Pick returns the index of the candidate whose name has the highest hash together with the key; -1 when there are none.
func Pick[T any](key string, candidates []T, name func(T) string) int {
	best, highest := -1, uint64(0)

	for n, c := range candidates {
		h := fnv.New64a()
		_, _ = io.WriteString(h, name(c)+" "+key) // a hash takes everything

		if sum := mix(h.Sum64()); best < 0 || sum > highest {
			best, highest = n, sum
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
