package membus

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// component holds the mailboxes of one component that hold letters.
type component struct {
	name string

	mu       sync.Mutex
	boxes    map[string]*box // by session
	ready    []*box          // to be handed out, oldest first
	waiting  boxHeap         // to be handed out when they are due
	workers  map[*worker]struct{}
	position uint64 // of the last letter posted
}

// box is a mailbox. It is in exactly one place: ready, waiting, or held by a claim that is renewed. One that waits for
// its lease to end is still held.
type box struct {
	session string
	letters []*bus.Letter
	ids     map[string]struct{} // of the letters
	handed  int                 // how often it was handed out since the last letter was done
	holder  *claim
	lapsing bool      // held, but also waiting or ready
	due     time.Time // since when it is ready, or will be
	index   int       // in waiting, or -1
}

// Post implements [bus.Mailbox]. A letter with the ID of one that is not done yet is dropped.
func (b *Bus) Post(ctx context.Context, l *bus.Letter) error {
	if err := checkLetter(l, b.broker.cfg.MaxBody); err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("post letter: %w", err)
	}

	size := letterBytes(l)
	if !b.broker.reserve(size, time.Now()) {
		return fmt.Errorf("post letter: %w", bus.ErrFull)
	}

	if !b.broker.component(l.Component).post(copyLetter(l)) {
		b.broker.free(size)
	}

	return nil
}

// Peek implements [bus.Mailbox].
func (b *Bus) Peek(ctx context.Context, component, session string) (*bus.Letter, error) {
	if err := errors.Join(checkID("component", component), checkID("session", session)); err != nil {
		return nil, fmt.Errorf("peek: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("peek: %w", err)
	}

	c := b.broker.component(component)
	c.mu.Lock()
	defer c.mu.Unlock()

	x := c.boxes[session]
	if x == nil || len(x.letters) == 0 {
		return nil, nil //nolint:nilnil // no letter is an answer, not a failure
	}

	return copyLetter(x.letters[0]), nil
}

// Backlog implements [bus.Mailbox].
func (b *Bus) Backlog(ctx context.Context, component string) (bus.Backlog, error) {
	if err := checkID("component", component); err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return bus.Backlog{}, fmt.Errorf("backlog: %w", err)
	}

	return b.broker.component(component).backlog(time.Now()), nil
}

func copyLetter(l *bus.Letter) *bus.Letter {
	c := *l
	c.Body = slices.Clone(l.Body)
	c.Trace = maps.Clone(l.Trace)

	return &c
}

func letterBytes(l *bus.Letter) int64 { return int64(itemBytes + len(l.Body) + mapBytes(l.Trace)) }

func (b *Broker) component(name string) *component {
	b.mu.Lock()
	defer b.mu.Unlock()

	c := b.components[name]
	if c == nil {
		c = &component{name: name, boxes: make(map[string]*box), workers: make(map[*worker]struct{})}
		b.components[name] = c
	}

	return c
}

func (b *Broker) allComponents() []*component {
	b.mu.Lock()
	defer b.mu.Unlock()

	return slices.Collect(maps.Values(b.components))
}

// post puts a letter, which it keeps, into its mailbox and reports whether it was not there already.
func (c *component) post(l *bus.Letter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	x := c.boxes[l.Session]
	if x == nil {
		x = &box{session: l.Session, ids: make(map[string]struct{}), index: -1}
		c.boxes[l.Session] = x
		c.push(x)
	}

	if _, there := x.ids[l.ID]; there {
		return false
	}

	c.position++
	l.Position = bus.Position{Minor: c.position}
	x.letters = append(x.letters, l)
	x.ids[l.ID] = struct{}{}

	return true
}

// push makes a mailbox ready to be handed out.
func (c *component) push(x *box) {
	x.due = time.Now()
	c.ready = append(c.ready, x)
	c.wake()
}

// wait makes a mailbox ready at a later time.
func (c *component) wait(x *box, due time.Time) {
	x.due = due
	heap.Push(&c.waiting, x)
	c.wake()
}

func (c *component) wake() {
	for w := range c.workers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// take removes the mailbox that is ready for the longest time from where it waits. When there is none it returns nil
// and when the next one is due, or a zero time.
func (c *component) take(now time.Time) (*box, time.Time) {
	c.ripen(now)

	if len(c.ready) > 0 {
		x := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]

		return x, time.Time{}
	}

	if len(c.waiting) > 0 {
		return nil, c.waiting[0].due
	}

	return nil, time.Time{}
}

// ripen makes the mailboxes ready whose time has come.
func (c *component) ripen(now time.Time) {
	for len(c.waiting) > 0 && !c.waiting[0].due.After(now) {
		c.ready = append(c.ready, heap.Pop(&c.waiting).(*box)) //nolint:forcetypeassert // Push takes nothing else.
	}
}

// backlog looks at the mailboxes that are ready.
func (c *component) backlog(now time.Time) bus.Backlog {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.ripen(now)

	b := bus.Backlog{Waiting: len(c.ready)}
	for _, x := range c.ready {
		b.Oldest = max(b.Oldest, now.Sub(x.due))
	}

	return b
}

// boxHeap orders mailboxes by when they are due.
type boxHeap []*box

var _ heap.Interface = (*boxHeap)(nil)

func (h boxHeap) Len() int           { return len(h) }
func (h boxHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h boxHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *boxHeap) Push(v any) {
	x := v.(*box) //nolint:forcetypeassert // component.wait passes nothing else.
	x.index = len(*h)
	*h = append(*h, x)
}

// Pop implements [heap.Interface].
func (h *boxHeap) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	x.index = -1

	return x
}
