package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// session is one session that runs.
type session struct {
	*Runner

	id       string
	random   *rand.Rand // of the poster
	visiting *rand.Rand // of visitors
	number   int
	begun    time.Time

	mu      sync.Mutex
	turns   []check.Turn
	hooked  map[string]bool      // turns with a hook
	ends    map[string]time.Time // when a reader saw the end of an answer to a turn last
	live    live
	stored  logs
	readers []*reader
	left    []check.Reader // readers that came and left
	changed chan struct{}  // closed when something happens
	// What an operator took away.
	lost, unposted []check.Window
	// until is when a cancel of the session that was repeated may take effect at last.
	until time.Time
}

func (r *Runner) newSession(id string, number int) *session {
	s := &session{
		Runner: r, id: id, number: number, random: rand.New(rand.NewPCG(r.cfg.Seed, uint64(number))),
		visiting: rand.New(rand.NewPCG(^r.cfg.Seed, uint64(number))), begun: time.Now(),
		hooked: make(map[string]bool), ends: make(map[string]time.Time), changed: make(chan struct{}),
	}
	s.readers = s.newReaders()

	return s
}

// run runs the session to its end and returns its history.
func (s *session) run(ctx context.Context, enough, well <-chan struct{}) *check.Session {
	reading, leave := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, r := range s.readers {
		running.Go(func() { r.read(reading) })
	}
	over := make(chan struct{})
	var visiting sync.WaitGroup
	if s.lifelong() {
		visiting.Go(func() { s.visits(ctx, over, well) })
	}
	s.post(ctx, enough, well)
	s.await(ctx, well, func() bool { return s.behind() == 0 })
	close(over)
	visiting.Wait()
	leave()
	running.Wait()

	return s.history(ctx)
}

// lifelong reports whether the session lives through the whole run.
func (s *session) lifelong() bool { return s.number < s.cfg.Lifelong }

// history returns what happened in the session, after all have left.
func (s *session) history(ctx context.Context) *check.Session {
	s.wiped() // what was wiped before it began
	history := &check.Session{ID: s.id, Turns: s.turns, Age: s.cfg.Age, Last: relays, Wiped: s.lost, Unposted: s.unposted}
	for _, r := range s.readers {
		history.Readers = append(history.Readers, r.seen)
	}
	history.Readers = append(history.Readers, s.left...)
	s.logs(ctx, history)
	history.Live = s.live.end()
	if s.cfg.InOrder {
		history.Spans = s.live.spans
	}

	return history
}

// saw notes an event of one of the session's readers.
func (s *session) saw(ctx context.Context, r *reader, e check.Event) {
	if e.Event.Kind == stream.KindEnd {
		s.keep(context.WithoutCancel(ctx), e.Info.Stream)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.seen.Events = append(r.seen.Events, e)
	if e.Event.Kind == stream.KindEnd {
		r.ended[e.Info.Root] = true
		s.ends[e.Info.Root] = e.At
	}
	s.happened()
}

// misbehaves reports whether a turn's prompt holds up its handler, so that its times say nothing about other faults.
func (s *session) misbehaves(turn string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.hooked[turn]
}

// happened wakes whoever waits. The lock is held.
func (s *session) happened() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// behind returns how many acknowledged turns the slowest reader has not seen the end of. The lock is held.
func (s *session) behind() int {
	most := 0
	for _, r := range s.readers {
		n := 0
		for i := range s.turns {
			if s.owes(r, &s.turns[i]) {
				n++
			}
		}
		most = max(most, n)
	}

	return most
}

// await waits until ok, which is called with the lock held. It gives up, and returns false, when ctx ends or, after
// well is closed, nothing happens for long.
func (s *session) await(ctx context.Context, well <-chan struct{}, ok func() bool) bool {
	var quiet <-chan time.Time
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
			if quiet != nil {
				quiet = time.After(s.cfg.Quiet)
			}
		case <-well:
			well, quiet = nil, time.After(s.cfg.Quiet)
		case <-quiet:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
