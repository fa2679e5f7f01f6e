package natsbus

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// What a stress run does. One in so many of each goes wrong.
const (
	stressSessions = 40
	stressLetters  = 20
	stressWorkers  = 4

	workerCrash = 40 // letters, before or after their work was stored
	posterCrash = 20 // posts, which are then repeated
	staleRead   = 5  // reads of a register, which are then answered from the past
)

// effects is the work that was accepted: one log for each session, whose fence decides.
type effects struct {
	t       *testing.T
	letters int // of each session
	all     chan struct{}
	left    atomic.Int64

	mu       sync.Mutex
	order    map[string][]uint64
	active   map[string]int
	overlaps int
	repeated int
	crashes  int
}

func newEffects(t *testing.T, letters int) *effects {
	t.Helper()

	e := &effects{t: t, letters: letters, all: make(chan struct{}), order: map[string][]uint64{}, active: map[string]int{}}
	e.left.Store(int64(stressSessions * letters))

	return e
}

// apply does the work of a letter unless that was done before. It reports whether the worker may go on.
func (e *effects) apply(ctx context.Context, b *Bus, l *bus.Letter) bool {
	e.enter(l.Session)
	defer e.leave(l.Session)

	n, err := strconv.ParseUint(string(l.Body), 10, 64)
	if err != nil {
		e.t.Errorf("letter %s: %v", l.ID, err)
	}

	id := bus.StreamID{Session: l.Session, Stream: "out"}

	for ctx.Err() == nil {
		last, err := b.Last(ctx, id)
		if err != nil {
			return false
		}

		if last != nil && n <= last.First {
			e.repeat(l.Session, n)

			return true
		}

		f := frame(id, int(n), l.ID)
		_, err = b.Append(ctx, f, last)

		switch {
		case err == nil:
			e.accepted(l.Session, n)

			return true
		case errors.Is(err, bus.ErrConflict):
			return false
		}
	}

	return false
}

func (e *effects) accepted(session string, n uint64) {
	e.mu.Lock()
	e.order[session] = append(e.order[session], n)
	e.mu.Unlock()

	if e.left.Add(-1) == 0 {
		close(e.all)
	}
}

// repeat notes a letter whose work was stored before, by an attempt that may not have been told.
func (e *effects) repeat(session string, n uint64) {
	e.mu.Lock()
	told := slices.Contains(e.order[session], n)
	e.repeated++
	e.mu.Unlock()

	if !told {
		e.accepted(session, n)
	}
}

func (e *effects) enter(session string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.active[session]++
	if e.active[session] > 1 {
		e.overlaps++
	}
}

func (e *effects) leave(session string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.active[session]--
}

func (e *effects) count(what *int) {
	e.mu.Lock()
	defer e.mu.Unlock()

	*what++
}

func (e *effects) check() {
	e.mu.Lock()
	defer e.mu.Unlock()

	for session, got := range e.order {
		for i, n := range got {
			if n != uint64(i) {
				e.t.Errorf("session %s: work %d was accepted as number %d", session, n, i)
			}
		}
	}
}

// await waits until all work is done, and says what is left on the server when that doesn't happen.
func (e *effects) await(b *Bus) {
	e.t.Helper()

	timeout := time.NewTimer(patience)
	defer timeout.Stop()

	select {
	case <-e.all:
		return
	case <-timeout.C:
	}

	for seq := uint64(1); ; seq++ {
		m, err := b.nextMsg(e.t.Context(), b.ns.TurnsStream(), ">", seq)
		if m == nil || err != nil {
			break
		}

		e.t.Logf("left: %d %s %s", m.Seq, m.Subject, m.Data)

		seq = m.Seq
	}

	c := must(b.js.Consumer(e.t.Context(), b.ns.TurnsStream(), b.ns.Consumer(component)))(e.t)
	e.t.Fatalf("%d letters are not done after %v; consumer: %+v", e.left.Load(), patience, c.CachedInfo())
}

// crashy is a serve that now and then returns half-way, as a worker that dies leaves a mailbox.
func (e *effects) crashy(b *Bus) func(context.Context, bus.Claim) {
	dies := func() bool {
		if rand.IntN(2*workerCrash) > 0 {
			return false
		}

		e.count(&e.crashes)

		return true
	}

	return func(ctx context.Context, c bus.Claim) {
		for {
			l, err := c.Next(ctx)
			if l == nil || err != nil {
				return
			}

			if dies() || !e.apply(ctx, b, l) || dies() {
				return
			}

			if c.Done(ctx, l) != nil {
				return
			}
		}
	}
}

// postAll posts a session's letters one after another. Some posts are broken off at any point and repeated.
func (e *effects) postAll(b *Bus, session string, broken *atomic.Int64) {
	for n := range e.letters {
		if rand.IntN(posterCrash) == 0 {
			ctx, cancel := context.WithTimeout(e.t.Context(), rand.N(2*time.Millisecond))
			if b.Post(ctx, turn(session, n)) != nil {
				broken.Add(1)
			}

			cancel()
		}

		if err := b.Post(e.t.Context(), turn(session, n)); err != nil {
			e.t.Errorf("post: %v", err)
		}
	}
}

// stress works off letters while workers and posters crash and reads are answered from the past.
func stress(t *testing.T, cfg Config, lease time.Duration, letters int) {
	t.Helper()

	e := newEffects(t, letters)
	begun := time.Now()
	past := newPast(t, cfg.URL)
	posting := past.between(open(t, cfg))

	for range stressWorkers {
		b := past.between(open(t, cfg))
		work(t, b, bus.WorkConfig{Concurrency: 16, Lease: lease}, e.crashy(b))
	}

	var posters sync.WaitGroup

	var broken atomic.Int64

	for n := range stressSessions {
		posters.Go(func() { e.postAll(posting, "s"+strconv.Itoa(n), &broken) })
	}

	posters.Wait()
	e.await(posting)
	e.check()
	t.Logf("%d letters in %v: %d crashes of workers, %d of posters, %d of %d reads stale; %d letters again after their work, "+
		"%d times two workers in a session",
		stressSessions*letters, time.Since(begun).Round(time.Millisecond), e.crashes, broken.Load(),
		past.stale.Load(), past.reads.Load(), e.repeated, e.overlaps)
}

// past stands between a bus and the JetStream API and answers some reads of registers as they were answered before.
type past struct {
	t            *testing.T
	nc           *nats.Conn
	reads, stale atomic.Int64

	mu      sync.Mutex
	answers map[string][][]byte // by request
}

const pastPrefix = "past."

func newPast(t *testing.T, url string) *past {
	t.Helper()

	p := &past{t: t, nc: must(nats.Connect(url))(t), answers: map[string][][]byte{}}
	t.Cleanup(p.nc.Close)

	// Several members, so that reads don't wait for one another.
	for range 16 {
		must(p.nc.QueueSubscribe(pastPrefix+">", "past", p.handle))(t)
	}

	if err := p.nc.Flush(); err != nil {
		t.Fatal(err)
	}

	return p
}

// between makes the bus ask here from now on.
func (p *past) between(b *Bus) *Bus {
	b.apiPrefix = pastPrefix

	return b
}

func (p *past) handle(m *nats.Msg) {
	subject := "$JS.API." + strings.TrimPrefix(m.Subject, pastPrefix)
	if !strings.Contains(subject, "STREAM.MSG.GET") || !strings.Contains(string(m.Data), ".ready.") {
		_ = p.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: m.Reply, Data: m.Data})

		return
	}

	p.reads.Add(1)

	if old := p.old(string(m.Data)); old != nil && rand.IntN(staleRead) == 0 {
		p.stale.Add(1)
		_ = m.Respond(old)

		return
	}

	answer, err := p.nc.Request(subject, m.Data, apiTimeout)
	if err != nil {
		return
	}

	p.mu.Lock()
	p.answers[string(m.Data)] = append(p.answers[string(m.Data)], answer.Data)
	p.mu.Unlock()

	_ = m.Respond(answer.Data)
}

// old returns one of the last three answers to a request.
func (p *past) old(request string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()

	answers := p.answers[request]
	if len(answers) == 0 {
		return nil
	}

	return answers[max(0, len(answers)-1-rand.IntN(3))]
}
