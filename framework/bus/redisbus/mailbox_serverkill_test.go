package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redisproc"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

const (
	killSessions = 20
	killLetters  = 40 // of each session
	kills        = 3
)

// TestServerKilled kills the server again and again while letters are posted and worked off. With a log that is synced
// before each answer none that was acknowledged is lost, those of a session are done in order, and no claim does a letter
// after another one was given the mailbox. With one that is synced every second the server holds back what it should
// write while a sync takes long, so a kill undoes up to two seconds of all that, and only going on is promised.
func TestServerKilled(t *testing.T) {
	t.Parallel()

	for name, fsync := range map[string]redisproc.Fsync{"every second": redistest.EverySecond, "always": redistest.Always} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serverKilled(t, fsync)
		})
	}
}

func serverKilled(t *testing.T, fsync redisproc.Fsync) {
	t.Helper()

	server := redistest.Run(t, redistest.Options{Fsync: fsync})
	r := &roll{t: t, strict: fsync == redistest.Always, highest: map[string]int{}, inside: map[string]*bus.Letter{}}

	for range 3 {
		working(t, open(t, Config{URL: server.URL()}), bus.WorkConfig{Lease: time.Second, Concurrency: 8}, r.serve)
	}

	poster := open(t, Config{URL: server.URL()})

	var posting sync.WaitGroup

	for s := range killSessions {
		posting.Go(func() {
			for n := range killLetters {
				if err := poster.Post(t.Context(), turnLetter(fmt.Sprint("s", s), n)); err != nil {
					t.Errorf("post: %v", err)
				}
			}
		})
	}

	for n := range kills {
		until(t, "more letters", func() bool { return r.count() >= (n+1)*killSessions*killLetters/(2*kills) })
		server.Kill()
		server.Start()
	}

	posting.Wait()

	for s := range killSessions {
		session := fmt.Sprint("s", s)
		until(t, "an empty mailbox", func() bool {
			l, err := poster.Peek(t.Context(), worksFor, session)

			return err == nil && l == nil
		})
		r.complete(session)
	}

	t.Logf("%d letters were given out again, %d while another claim had them", r.again, r.overlaps)
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	for !so() {
		if !pause(ctx, 5*time.Millisecond) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// roll is what the workers were given and did.
type roll struct {
	t      *testing.T
	strict bool // nothing that was acknowledged may be undone

	mu              sync.Mutex
	given           int
	highest         map[string]int         // number of letters that were given out, by session
	inside          map[string]*bus.Letter // that was given out last and whose Done was not called yet
	again, overlaps int
}

func (r *roll) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.given
}

func (r *roll) complete(session string) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if n := r.highest[session]; n != killLetters && r.strict {
		r.t.Errorf("session %s: %d letters were given out, of %d that were acknowledged", session, n, killLetters)
	}
}

func (r *roll) serve(ctx context.Context, c bus.Claim) {
	for ctx.Err() == nil {
		l, err := c.Next(ctx)
		if errors.Is(err, bus.ErrUnknown) {
			continue
		}

		if err != nil || l == nil {
			return
		}

		r.enter(l)

		if r.finish(ctx, c, l) != nil {
			return
		}
	}
}

// enter notes that a claim was given a letter, which is the next one or that before it: again after a claim was lost, or
// because its post was repeated when the server died before it answered.
func (r *roll) enter(l *bus.Letter) {
	r.mu.Lock()
	defer r.mu.Unlock()

	n, err := strconv.Atoi(l.ID[1:])
	if err != nil {
		r.t.Errorf("letter %s: %v", l.ID, err)
	}

	switch r.highest[l.Session] {
	case n:
		r.highest[l.Session]++
		r.given++
	case n + 1:
		r.again++
	default:
		if r.strict {
			r.t.Errorf("session %s: got %s after %d letters", l.Session, l.ID, r.highest[l.Session])
		}

		r.highest[l.Session] = max(r.highest[l.Session], n+1)
		r.given++
	}

	if r.inside[l.Session] != nil {
		r.overlaps++
	}

	r.inside[l.Session] = l
}

// finish does a letter. It can't succeed once another claim was given the mailbox.
func (r *roll) finish(ctx context.Context, c bus.Claim, l *bus.Letter) error {
	r.mu.Lock()

	taken := r.inside[l.Session] != l
	if !taken {
		r.inside[l.Session] = nil
	}

	r.mu.Unlock()

	err := c.Done(ctx, l)
	for errors.Is(err, bus.ErrUnknown) && ctx.Err() == nil {
		err = c.Done(ctx, l)
	}

	if err != nil {
		return err
	}

	if taken && r.strict {
		r.t.Errorf("session %s: %s was done by a claim that had lost it", l.Session, l.ID)
	}

	return nil
}
