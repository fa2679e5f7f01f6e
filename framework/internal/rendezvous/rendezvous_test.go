package rendezvous_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/internal/rendezvous"
)

func pick(key string, names []string) string {
	return names[rendezvous.Pick(key, names, func(s string) string { return s })]
}

// Whoever chooses, in whatever order the candidates are, chooses the same; without one that was not chosen, too.
func TestPickIsTheSameForAll(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,6}`), 2, 8, rapid.ID[string]).Draw(t, "names")
		key, gone := rapid.String().Draw(t, "key"), rapid.IntRange(0, len(names)-1).Draw(t, "gone")
		chosen := pick(key, names)

		if other := pick(key, rapid.Permutation(names).Draw(t, "order")); other != chosen {
			t.Errorf("chose %s and %s", chosen, other)
		}

		if rest := slices.Delete(slices.Clone(names), gone, gone+1); names[gone] != chosen && pick(key, rest) != chosen {
			t.Errorf("chose %s after %s had left, and %s before", pick(key, rest), names[gone], chosen)
		}
	})
}

func TestPickSpreads(t *testing.T) {
	t.Parallel()

	const keys = 10_000

	names := []string{"a", "b", "c", "d"}
	count := map[string]int{}

	for i := range keys {
		count[pick(fmt.Sprint("session-", i), names)]++
	}

	for _, name := range names {
		if share := float64(count[name]) / keys * float64(len(names)); share < 0.9 || share > 1.1 {
			t.Errorf("%s has %d of %d keys", name, count[name], keys)
		}
	}

	if i := rendezvous.Pick("key", nil, func(s string) string { return s }); i != -1 {
		t.Errorf("chose %d of none", i)
	}
}
