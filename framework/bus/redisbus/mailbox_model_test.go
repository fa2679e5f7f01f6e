package redisbus

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// model is what the mailboxes of a component should hold, and all claims that were ever made on them.
type model struct {
	w      *worker
	server *redis.Client
	boxes  map[string]*modelBox
	ready  []string // sessions that are due, the longest first
	claims []*claim
}

type modelBox struct {
	letters []string
	handed  int
	shown   bool   // its holder has seen the first letter
	holder  *claim // nil: nobody
	known   bool   // it was handed out
	held    bool   // not due: claimed or delayed
}

// TestMailboxModel does steps of posters and workers in any order, among them those of workers that lost their claims,
// and compares what each says with a model in memory.
func TestMailboxModel(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b, server := open(t, Config{URL: url}), admin(t, url)

	rapid.Check(t, func(rt *rapid.T) {
		must(server.FlushDB(t.Context()).Result())(t)

		m := &model{w: taker(t, b, time.Hour), server: server, boxes: map[string]*modelBox{}}
		rt.Repeat(map[string]func(*rapid.T){
			"post": m.post, "take": m.take, "next": m.next, "done": m.done, "release": m.release, "due": m.due, "": m.check,
		})
	})
}

func (m *model) post(t *rapid.T) {
	session := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "session")
	l := turnLetter(session, rapid.IntRange(0, 5).Draw(t, "letter"))

	if err := m.w.bus.Post(t.Context(), l); err != nil {
		t.Fatal(err)
	}

	x := m.boxes[session]
	if x == nil {
		x = &modelBox{}
		m.boxes[session] = x
		m.ready = append(m.ready, session)
	}

	if !slices.Contains(x.letters, l.ID) {
		x.letters = append(x.letters, l.ID)
	}
}

func (m *model) take(t *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(t, "most")

	got, err := m.w.takeDue(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}

	want := m.ready[:min(n, len(m.ready))]
	if !slices.Equal(got.sessions, want) {
		t.Fatalf("took %v, want %v", got.sessions, want)
	}

	m.ready = slices.Clone(m.ready[len(want):])

	got.asked = got.asked.Add(time.Hour) // what ends claims is the server

	for _, session := range want {
		c, err := m.w.newClaim(session, got)
		if err != nil {
			t.Fatal(err)
		}

		m.claims = append(m.claims, c)

		x := m.boxes[session]
		x.holder, x.held, x.shown, x.known = c, true, false, true
		x.handed++
	}
}

// any returns a claim, which may be lost, and its mailbox if it is not.
func (m *model) any(t *rapid.T) (*claim, *modelBox) {
	if len(m.claims) == 0 {
		t.Skip("no claim")
	}

	c := rapid.SampledFrom(m.claims).Draw(t, "claim")
	if x := m.boxes[c.session]; x != nil && x.holder == c {
		return c, x
	}

	return c, nil
}

// wantLost expects that a claim that was lost can do nothing.
func wantLost(t *rapid.T, x *modelBox, err error) bool {
	if x == nil && !errors.Is(err, bus.ErrLost) {
		t.Fatalf("a claim that is over: %v", err)
	}

	if x != nil && err != nil {
		t.Fatalf("a claim that holds: %v", err)
	}

	return x == nil
}

func (m *model) next(t *rapid.T) {
	c, x := m.any(t)

	l, err := c.Next(t.Context())
	if wantLost(t, x, err) {
		return
	}

	switch {
	case l == nil && len(x.letters) == 0:
		m.remove(c.session)
	case l == nil || len(x.letters) == 0 || l.ID != x.letters[0] || l.Deliveries != x.handed:
		t.Fatalf("next is %+v, want the first of %v, handed out %d times", l, x.letters, x.handed)
	default:
		x.shown = true
	}
}

func (m *model) done(t *rapid.T) {
	c, x := m.any(t)
	if x == nil {
		wantLost(t, x, c.Done(t.Context(), turnLetter(c.session, 0)))

		return
	}

	l, err := m.w.bus.Peek(t.Context(), worksFor, c.session)
	if err != nil {
		t.Fatal(err)
	}

	if l == nil {
		return
	}

	for range rapid.IntRange(1, 2).Draw(t, "times") {
		wantLost(t, x, c.Done(t.Context(), l))
	}

	x.letters, x.handed, x.shown = x.letters[1:], 1, false
}

func (m *model) release(t *rapid.T) {
	c, x := m.any(t)
	delay := time.Duration(rapid.IntRange(0, 1).Draw(t, "delay")) * time.Hour

	if wantLost(t, x, c.Release(t.Context(), delay)) {
		return
	}

	m.ready = slices.DeleteFunc(m.ready, func(s string) bool { return s == c.session })

	if len(x.letters) == 0 {
		m.remove(c.session)

		return
	}

	if !x.shown {
		x.handed--
	}

	x.holder, x.held = nil, delay > 0
	if delay == 0 {
		m.ready = append(m.ready, c.session)
	}
}

// due lets the time of a lease or delay be over.
func (m *model) due(t *rapid.T) {
	session := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "session")

	x := m.boxes[session]
	if x == nil || !x.held {
		return
	}

	now, err := m.server.Time(t.Context()).Result()
	if err == nil {
		err = m.server.ZAdd(t.Context(), m.w.keys.Due, redis.Z{Score: float64(now.UnixMicro()), Member: session}).Err()
	}

	if err != nil {
		t.Fatal(err)
	}

	x.held = false
	m.ready = append(m.ready, session)
}

func (m *model) remove(session string) {
	delete(m.boxes, session)

	m.ready = slices.DeleteFunc(m.ready, func(s string) bool { return s == session })
}

// check compares what is known of mailboxes, letters and claims.
func (m *model) check(t *rapid.T) {
	handed := 0

	for session, x := range m.boxes {
		if x.known {
			handed++
		}

		keys, err := m.w.bus.box(worksFor, session)
		if err != nil {
			t.Fatal(err)
		}

		n, err := m.server.XLen(t.Context(), keys.Inbox).Result()
		if ids := m.server.HLen(t.Context(), keys.Letters).Val(); err != nil || n != int64(len(x.letters)) || ids != n {
			t.Fatalf("session %s has %d letters and %d ids, %v; want %v", session, n, ids, err, x.letters)
		}
	}

	due, claims := m.server.ZCard(t.Context(), m.w.keys.Due).Val(), m.server.HLen(t.Context(), m.w.keys.Claims).Val()
	if due != int64(len(m.boxes)) || claims != int64(handed) {
		t.Fatal(strconv.FormatInt(due, 10) + " are due and " + strconv.FormatInt(claims, 10) + " known by their claims")
	}
}
