// Package monitor watches how well one instance does its work: how much of it succeeds, how long it takes, and whether
// so much of it fails that the instance should make room for a better one.
//
// File map: monitor.go the outcomes of late; histogram.go how long they took.
package monitor

import (
	"fmt"
	"sync"
	"time"
)

// Config says what is watched. The zero value works.
type Config struct {
	// Window is how far back a Report looks, at least; at most twice that. Defaults to 5 min.
	Window time.Duration
	// MinSuccess is the share of the latest Work turns and calls, from 0 to 1, that must succeed; an instance below it is
	// sick. Set it only where instances fail for reasons of their own: what fails in all of them at once, such as a
	// provider, makes all of them sick. Defaults to 0: no instance is sick.
	MinSuccess float64
	// Work is over how many turns and calls MinSuccess counts. Defaults to 20.
	Work int
}

// Report says how an instance has worked of late. Percentiles are exact to an eighth.
type Report struct {
	// Done is how many turns and calls have ended, and Failed how many of them failed.
	Done   uint64 `json:"done"`
	Failed uint64 `json:"failed"`
	// P50, P90 and P99 are how long the faster half, nine tenths and 99 of 100 took at most.
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// Monitor watches one instance. All methods may be called concurrently; its memory is bounded.
type Monitor struct {
	cfg  Config
	sick chan struct{}

	mu      sync.Mutex
	since   time.Time // when now began
	now     tally
	before  tally
	latest  []bool // the outcomes of the latest work: whether each failed
	next    int    // where in latest the next one goes
	full    bool
	failed  int // in latest
	problem string
}

// tally is what was done in one window.
type tally struct {
	done, failed uint64
	took         histogram
}

// New returns a monitor that has seen nothing yet.
func New(cfg Config) *Monitor {
	if cfg.Window <= 0 {
		cfg.Window = 5 * time.Minute
	}

	if cfg.Work <= 0 {
		cfg.Work = 20
	}

	return &Monitor{cfg: cfg, sick: make(chan struct{}), since: time.Now(), latest: make([]bool, cfg.Work)}
}

// Observe notes that a turn or call has ended.
func (m *Monitor) Observe(took time.Duration, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.turnOver()
	m.now.done++
	m.now.took.add(took)

	if failed {
		m.now.failed++
	}

	m.judge(failed)
}

// turnOver begins a new window when the one of now is over.
func (m *Monitor) turnOver() {
	switch age := time.Since(m.since); {
	case age < m.cfg.Window:
		return
	case age < 2*m.cfg.Window:
		m.before = m.now
	default:
		m.before = tally{}
	}

	m.now, m.since = tally{}, time.Now()
}

// judge notes the outcome and decides whether the instance is sick, which it stays.
func (m *Monitor) judge(failed bool) {
	if m.latest[m.next] {
		m.failed--
	}

	if failed {
		m.failed++
	}

	m.latest[m.next] = failed

	m.next = (m.next + 1) % len(m.latest)
	m.full = m.full || m.next == 0

	if success := 1 - float64(m.failed)/float64(len(m.latest)); m.full && m.problem == "" && success < m.cfg.MinSuccess {
		m.problem = fmt.Sprintf("%d of the latest %d turns and calls failed", m.failed, len(m.latest))
		close(m.sick)
	}
}

// Sick is closed when the instance is sick.
func (m *Monitor) Sick() <-chan struct{} { return m.sick }

// Problem says in one line why the instance is sick; empty while it is not.
func (m *Monitor) Problem() string {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.problem
}

// Report says how the instance has worked of late.
func (m *Monitor) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.turnOver()

	took := m.before.took
	took.merge(&m.now.took)

	return Report{
		Done: m.before.done + m.now.done, Failed: m.before.failed + m.now.failed,
		P50: took.quantile(0.5), P90: took.quantile(0.9), P99: took.quantile(0.99),
	}
}
