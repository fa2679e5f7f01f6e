// Package resume measures how long a turn stands still after its worker was killed: from the kill to the first chunk
// by the successor.
//
// Nothing in a stream says which instance writes it. So at each kill the [Recorder] takes down the component's streams
// that are being written. Those that go on as before ran elsewhere and are dropped; those that go on with a later
// attempt ran there, and give a sample each.
package resume

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Recorder collects samples. All methods may be called concurrently.
type Recorder struct {
	mu      sync.Mutex
	running map[string]*running // by stream
	kills   []*kill
	samples []sample
	faults  []fault
}

// running is a stream that is being written.
type running struct {
	component string
	attempt   uint32
}

// kill is the end of a worker whose streams may still stand.
type kill struct {
	component string
	at        time.Time
	streams   map[string]uint32 // attempts at the kill
}

// sample is one stream that went on.
type sample struct {
	component, stream string

	from, to time.Time
}

// fault is one that may have made others wait for longer.
type fault struct {
	component string
	from, to  time.Time
}

// New returns an empty recorder.
func New() *Recorder { return &Recorder{running: make(map[string]*running)} }

// slack is how long after a kill a chunk may be seen that left before it.
const slack = 300 * time.Millisecond

// Chunk notes that a reader that is not disturbed by any fault saw a chunk of a stream.
func (r *Recorder) Chunk(at time.Time, component, stream string, attempt uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[stream] = &running{component, attempt}
	r.kills = slices.DeleteFunc(r.kills, func(k *kill) bool {
		before, there := k.streams[stream]
		switch {
		case !there:
		case attempt > before:
			r.samples = append(r.samples, sample{component, stream, k.at, at})
			delete(k.streams, stream)
		case at.Sub(k.at) > slack:
			delete(k.streams, stream)
		}

		return len(k.streams) == 0
	})
}

// End notes that a stream has ended.
func (r *Recorder) End(stream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, stream)
	for _, k := range r.kills {
		delete(k.streams, stream)
	}
}

// Kill notes that a worker of a component is killed now.
func (r *Recorder) Kill(component string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &kill{component: component, at: at, streams: make(map[string]uint32)}
	for stream, s := range r.running {
		if s.component == component {
			k.streams[stream] = s.attempt
		}
	}
	if len(k.streams) > 0 {
		r.kills = append(r.kills, k)
	}
}

// Fault notes any fault that may hold up a component's turns, kills included.
func (r *Recorder) Fault(component string, from, to time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fault{component, from, to})
}

// Times returns all samples, sorted, and those of turns that no other fault hit until they went on. needs says whose
// faults disturb a component's turns.
func (r *Recorder) Times(needs func(component string) []string) (all, undisturbed []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		all = append(all, s.to.Sub(s.from))
		if !r.disturbed(s, needs(s.component)) {
			undisturbed = append(undisturbed, s.to.Sub(s.from))
		}
	}
	slices.Sort(all)
	slices.Sort(undisturbed)

	return all, undisturbed
}

// Slow is a turn that stood still for long.
type Slow struct {
	Component, Stream string
	// From the kill to the first chunk of the successor.
	From, To time.Time
}

// Slowest returns the n samples that took longest, the slowest first.
func (r *Recorder) Slowest(n int) []Slow {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.samples)
	slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(b.to.Sub(b.from), a.to.Sub(a.from)) })
	slow := make([]Slow, 0, n)
	for _, s := range all[:min(n, len(all))] {
		slow = append(slow, Slow{s.component, s.stream, s.from, s.to})
	}

	return slow
}

// disturbed reports whether a fault other than the sample's own kill fell into its time.
func (r *Recorder) disturbed(s sample, needs []string) bool {
	return slices.ContainsFunc(r.faults, func(f fault) bool {
		own := f.component == s.component && f.from.Equal(s.from)

		return !own && slices.Contains(needs, f.component) && f.from.Before(s.to) && f.to.After(s.from)
	})
}

// Percentile returns the p-th part (0 to 1) of sorted times; 0 of none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}

	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
