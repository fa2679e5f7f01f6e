package call

import "sync"

// budget bounds the tries that are not the first of their call: each call saves a share of one, and each such try costs
// one whole. So they add no more than that share to the load of what is failing already, after a few at once.
type budget struct {
	share float64
	most  float64

	mu    sync.Mutex
	saved float64
}

func newBudget(share float64, most int) *budget {
	return &budget{share: share, most: float64(most), saved: float64(most)}
}

// earn notes a call.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.saved = min(b.saved+b.share, b.most)
}

// spend reports whether a further try is allowed.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.saved < 1 {
		return false
	}

	b.saved--

	return true
}
