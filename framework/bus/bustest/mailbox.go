package bustest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func mailboxCases() []promise {
	return []promise{
		{name: "mailbox/letters come in the order they were posted", run: lettersInOrder, faults: true},
		{name: "mailbox/every field of a letter comes back", run: letterFields},
		{name: "mailbox/one worker at a time per session", run: oneAtATime, faults: true},
		{name: "mailbox/sessions are worked on at once", run: sessionsParallel},
		{name: "mailbox/no more at once than asked for", run: concurrencyBound},
		{name: "mailbox/components don't mix", run: componentsApart},
		{name: "mailbox/posted while it becomes empty", run: postWhileEmptying, faults: true},
		{name: "mailbox/a letter posted twice is one turn", run: postTwice},
		{name: "mailbox/peek shows the oldest letter until it is done", run: peek},
		{name: "mailbox/work drains when its context ends", run: workDrains},
		{name: "mailbox/work that ended before it began did nothing", run: workOver},
	}
}

func lettersInOrder(t *testing.T, s *suite) {
	const n = 100

	component, session := newID("c"), newID("s")
	mustPost(t, s.open(t), component, session, 0, n/2)

	var got []*bus.Letter

	all := make(chan struct{})
	stop := work(t, s.open(t), component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) {
		if got = append(got, l); l.ID == fmt.Sprint("turn-", n-1) {
			close(all)
		}
	}))

	mustPost(t, s.open(t), component, session, n/2, n-1)

	// The last one is posted without faults by chance, so that it comes once.
	direct := s.open(t)
	if f, ok := direct.(*FaultyBus); ok {
		direct = f.Unwrap()
	}

	mustPost(t, direct, component, session, n-1, n)
	receive(t, "letters", all)

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	inOrder(t, session, got, n)
}

func letterFields(t *testing.T, s *suite) {
	b := s.open(t)
	component := newID("c")
	want := bus.Letter{
		ID: newID("turn"), Component: component, Session: newID("s"), Deliveries: 7,
		Body:  []byte("{\"a\": \"naïve\r\n\x00\xff\"}"),
		Trace: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	sent := want
	sent.Body = []byte(string(want.Body))

	if err := post(t.Context(), b, &sent); err != nil {
		t.Fatal(err)
	}

	copy(sent.Body, "XXXXXXXX")

	empty := &bus.Letter{ID: newID("turn"), Component: component, Session: want.Session}
	if err := post(t.Context(), b, empty); err != nil {
		t.Fatal(err)
	}

	got := make(chan *bus.Letter, 8)
	work(t, s.open(t), component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l }))

	first, second := receive(t, "letter", got), receive(t, "letter", got)
	want.Deliveries, want.Position = 1, first.Position
	same(t, "letter", &want, first)

	empty.Deliveries, empty.Position = 1, second.Position
	same(t, "empty letter", empty, second)

	if first.Position == second.Position {
		t.Errorf("two letters at %v", first.Position)
	}
}

func oneAtATime(t *testing.T, s *suite) {
	const sessions, letters = 20, 10

	component := newID("c")
	b := s.open(t)

	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = newID("s")
	}

	l := newLedger(t, ids, letters)

	for range 3 {
		w := &crashing{bus: s.open(t)}
		work(t, w.bus, component, bus.WorkConfig{Concurrency: 8}, l.serve(w, false))
	}

	var posting sync.WaitGroup

	for _, id := range ids {
		posting.Go(func() {
			for n := range letters {
				if err := post(t.Context(), b, letter(component, id, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}

	posting.Wait()
	l.await(b)
}

func sessionsParallel(t *testing.T, s *suite) {
	const n = 6

	b := s.open(t)
	component := newID("c")
	ctx := within(t)

	var arrived atomic.Int32

	together := make(chan struct{})

	work(t, b, component, bus.WorkConfig{Concurrency: n}, serveAll(t, func(*bus.Letter) {
		if arrived.Add(1) == n {
			close(together)
		}

		select {
		case <-together:
		case <-ctx.Done():
		}
	}))

	for range n {
		mustPost(t, b, component, newID("s"), 0, 1)
	}

	receive(t, "all sessions at once", together)
}

func concurrencyBound(t *testing.T, s *suite) {
	const n, bound = 40, 3

	b := s.open(t)
	component := newID("c")

	var inside, done atomic.Int32

	all := make(chan struct{})

	for range n {
		mustPost(t, b, component, newID("s"), 0, 1)
	}

	serve := serveAll(t, func(*bus.Letter) {})

	work(t, b, component, bus.WorkConfig{Concurrency: bound}, func(ctx context.Context, c bus.Claim) {
		if now := inside.Add(1); now > bound {
			t.Errorf("%d mailboxes at once, want at most %d", now, bound)
		}

		pause(ctx) // Time enough for the others to come, too.
		serve(ctx, c)
		inside.Add(-1)

		if done.Add(1) == n {
			close(all)
		}
	})

	receive(t, "all mailboxes", all)
}

func componentsApart(t *testing.T, s *suite) {
	b := s.open(t)
	one, session := newID("c"), newID("s")
	two := one + "x"
	got := make(chan string, 10)

	for _, c := range []string{one, two} {
		work(t, b, c, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) {
			if l.Component != c {
				t.Errorf("%s was given a letter for %s", c, l.Component)
			}

			got <- l.Component
		}))
		mustPost(t, b, c, session, 0, 1)
	}

	first := receive(t, "letter", got)
	if second := receive(t, "letter", got); first == second {
		t.Errorf("%s received both letters", first)
	}
}

func postWhileEmptying(t *testing.T, s *suite) {
	n := s.features.Letters / 20
	component, session := newID("c"), newID("s")
	posting := s.open(t)
	done := make(chan string, 2*n)

	for range 2 {
		work(t, s.open(t), component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { done <- l.ID }))
	}

	// The next letter is posted just when the mailbox of the one before is found empty.
	for i := range n {
		l := letter(component, session, i)
		if err := post(t.Context(), posting, l); err != nil {
			t.Fatal(err)
		}

		skipTo(t, done, func(id string) bool { return id == l.ID })
	}
}

func postTwice(t *testing.T, s *suite) {
	b := s.open(t)
	component, session := newID("c"), newID("s")

	mustPost(t, b, component, session, 0, 1)
	mustPost(t, b, component, session, 0, 1)
	mustPost(t, b, component, session, 1, 2)

	var got []*bus.Letter

	last := make(chan struct{})
	stop := work(t, b, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) {
		if got = append(got, l); l.ID == "turn-1" {
			close(last)
		}
	}))

	receive(t, "letters", last)

	if err := stop(); err != nil {
		t.Errorf("work: %v", err)
	}

	inOrder(t, session, got, 2)

	if s.features.PostOnce && len(got) != 2 {
		t.Errorf("%d letters, want 2", len(got))
	}
}

func workDrains(t *testing.T, s *suite) {
	b := s.open(t)
	component := newID("c")
	mustPost(t, b, component, newID("s"), 0, 3)

	inside, goOn, over := make(chan struct{}, 2), make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())

	var served atomic.Int32

	serve := serveAll(t, func(*bus.Letter) { served.Add(1) })

	go func() {
		over <- b.Work(ctx, component, bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
			inside <- struct{}{}
			<-goOn

			if ctx.Err() != nil {
				t.Errorf("serve's context ended with Work's: %v", context.Cause(ctx))
			}

			serve(ctx, c)
		})
	}()

	receive(t, "mailbox", inside)
	cancel()
	mustPost(t, b, component, newID("s"), 0, 1)
	quiet(t, "mailbox taken after the context ended", inside, retryPause)
	quiet(t, "Work returned before serve did", over, retryPause)
	close(goOn)

	if err := receive(t, "end of Work", over); err != nil {
		t.Errorf("work: %v", err)
	}

	if n := served.Load(); n != 3 {
		t.Errorf("served %d letters after the context ended, want 3", n)
	}
}

func workOver(t *testing.T, s *suite) {
	b := s.open(t)
	component := newID("c")
	mustPost(t, b, component, newID("s"), 0, 1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	for range 10 {
		err := b.Work(ctx, component, bus.WorkConfig{}, func(context.Context, bus.Claim) {
			t.Error("a mailbox was taken after the context ended")
		})
		if err != nil {
			t.Errorf("work: %v", err)
		}
	}
}
