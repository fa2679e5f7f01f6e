package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func backlogCases() []promise {
	return []promise{
		{name: "backlog/is what no worker has taken yet", run: backlogOfNobody},
		{name: "backlog/is what waits behind a busy worker", run: backlogOfBusy, faults: true},
		{name: "backlog/leaves out what a release holds back", run: backlogHeldBack},
		{name: "backlog/counts what waits again, where the bus can tell", run: backlogAgain},
		{name: "backlog/is refused for a component that can't be", run: backlogInvalid},
	}
}

const (
	// backlogAge is how long a mailbox waits before its age says something.
	backlogAge = 100 * time.Millisecond
	// backlogExact is how wrong an age may be: a clock may be put right meanwhile.
	backlogExact = 20 * time.Millisecond
)

// wantBacklog waits until as many mailboxes wait, and returns the answer.
func wantBacklog(ctx context.Context, t *testing.T, b bus.Bus, component string, waiting int) bus.Backlog {
	t.Helper()

	return wantBacklogOf(ctx, t, b, component, waiting, waiting)
}

// wantBacklogOf waits until least to most mailboxes wait, and returns the answer.
func wantBacklogOf(ctx context.Context, t *testing.T, b bus.Bus, component string, least, most int) bus.Backlog {
	t.Helper()

	for {
		got := answer(ctx, t, func() (bus.Backlog, error) { return b.Backlog(ctx, component) })

		switch {
		case got.Waiting == 0 && got.Oldest != 0:
			t.Fatalf("nothing waits, for %v", got.Oldest)
		case got.Waiting >= least && got.Waiting <= most:
			return got
		case !pause(ctx):
			t.Fatalf("%d mailboxes wait after %v, want %d to %d", got.Waiting, patience, least, most)
		}
	}
}

// postSessions posts two letters to each of n new sessions, which it returns.
func postSessions(t *testing.T, b bus.Bus, component string, n int) []string {
	t.Helper()

	sessions := make([]string, n)
	for i := range sessions {
		sessions[i] = newID("s")
		mustPost(t, b, component, sessions[i], 0, 2)
	}

	return sessions
}

// wantDone waits until every letter of the sessions is done.
func wantDone(ctx context.Context, t *testing.T, b bus.Bus, component string, sessions []string) {
	t.Helper()

	for _, id := range sessions {
		for answer(ctx, t, func() (*bus.Letter, error) { return b.Peek(ctx, component, id) }) != nil {
			if !pause(ctx) {
				t.Fatalf("session %s has letters after %v", id, patience)
			}
		}
	}
}

func backlogOfNobody(t *testing.T, s *suite) {
	const sessions = 5

	ctx, b, asking := within(t), s.open(t), s.open(t)
	component := newID("c")

	wantBacklog(ctx, t, asking, component, 0)

	before := time.Now()

	all := postSessions(t, b, component, 1)
	posted := time.Now()

	all = append(all, postSessions(t, b, component, sessions-1)...)
	postSessions(t, b, newID("c"), 1)

	for {
		least := time.Since(posted)
		got := wantBacklog(ctx, t, asking, component, sessions)

		if most := time.Since(before); got.Oldest < least-backlogExact || got.Oldest > most+backlogExact {
			t.Fatalf("the oldest waits for %v, not for %v to %v", got.Oldest, least, most)
		}

		if got.Oldest >= backlogAge {
			break
		}
	}

	stop := work(t, b, component, bus.WorkConfig{}, serveAll(t, func(*bus.Letter) {}))

	wantDone(ctx, t, b, component, all)

	for _, b := range []bus.Bus{b, asking} {
		wantBacklog(ctx, t, b, component, 0)
	}

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	postSessions(t, asking, component, sessions)
	wantBacklog(ctx, t, b, component, sessions)
}

func backlogOfBusy(t *testing.T, s *suite) {
	const sessions = 5

	ctx, b, asking := within(t), s.open(t), s.open(t)
	component := newID("c")
	busy := make(chan struct{}, 1)

	held, release := context.WithCancel(ctx)
	defer release()

	work(t, b, component, bus.WorkConfig{Concurrency: 1}, func(ctx context.Context, c bus.Claim) {
		select {
		case busy <- struct{}{}:
		default:
		}

		select {
		case <-held.Done():
			serveAll(t, func(*bus.Letter) {})(ctx, c)
		case <-ctx.Done():
		}
	})

	wantBacklog(ctx, t, b, component, 0)
	postSessions(t, asking, component, 1)

	first := time.Now()

	receive(t, "a mailbox", busy)
	wantBacklog(ctx, t, b, component, 0)

	for time.Since(first) < backlogAge && pause(ctx) { //nolint:revive // until the first one is older than the others
	}

	before := time.Now()

	postSessions(t, asking, component, sessions-1)

	counted := sessions - 1
	if !s.features.BacklogExact {
		counted++
	}

	for _, b := range []bus.Bus{b, asking} {
		got := wantBacklogOf(ctx, t, b, component, sessions-1, counted)
		if most := time.Since(before) + backlogExact; got.Oldest <= 0 || got.Oldest > most {
			t.Errorf("%d mailboxes wait for %v, not for up to %v", got.Waiting, got.Oldest, most)
		}
	}

	release()

	for _, b := range []bus.Bus{b, asking} {
		wantBacklog(ctx, t, b, component, 0)
	}
}

func backlogHeldBack(t *testing.T, s *suite) {
	ctx, b, asking := within(t), s.open(t), s.open(t)
	component, session := newID("c"), newID("s")
	mustPost(t, b, component, session, 0, 1)

	r := s.hand(t, b, component)
	h, _ := r.next(t, "turn-0")
	r.release(t, h, time.Hour)
	mustPost(t, b, component, session, 1, 2)

	for _, b := range []bus.Bus{b, asking} {
		wantBacklog(ctx, t, b, component, 0)
	}
}

// backlogAgain leaves two mailboxes: one is given back, the other one's worker dies.
func backlogAgain(t *testing.T, s *suite) {
	if !s.features.BacklogExact {
		t.Skip("this bus counts what was never handed out")
	}

	ctx, b, dying := within(t), s.open(t), s.open(t)
	component, given, taken := newID("c"), newID("s"), make(chan struct{}, 2)

	postSessions(t, b, component, 1)
	mustPost(t, b, component, given, 0, 1)

	work(t, dying, component, bus.WorkConfig{Lease: s.features.Lease}, func(ctx context.Context, c bus.Claim) {
		l, err := c.Next(ctx)
		if err == nil && l.Session == given {
			err = c.Release(ctx, s.features.Lease)
		}

		if err != nil {
			t.Errorf("serve: %v", err)
		}

		taken <- struct{}{}

		<-ctx.Done()
	})

	receive(t, "a mailbox", taken)
	receive(t, "another one", taken)
	s.kill(t, dying)

	if got := wantBacklog(ctx, t, b, component, 2); got.Oldest > patience {
		t.Errorf("they wait for %v since they wait again", got.Oldest)
	}
}

func backlogInvalid(t *testing.T, s *suite) {
	_, err := s.open(t).Backlog(t.Context(), "a b")
	wantErr(t, "backlog of a component that can't be", err, bus.ErrInvalid)
}
