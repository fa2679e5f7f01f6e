package mailbox

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

type opKind int

const (
	opLast opKind = iota
	opFirst
	opAppend
	opDelete
	opStart  // open the output of a letter
	opFinish // complete it
	opTake   // wait for an entry of the register
	opAck    // acknowledge one
	opFloor  // learn up to where all are acknowledged
)

// request is one atomic operation that a process asks for.
type request struct {
	kind    opKind
	log     Log
	seq     uint64
	entry   Entry
	on      Condition
	id      string
	attempt int
	// unfenced makes the output take work of any attempt.
	unfenced bool
}

// read reports whether the operation changes nothing and may be answered from the past.
func (r request) read() bool { return r.kind == opLast || r.kind == opFirst }

// write reports whether the operation goes to the broker and may be lost on the way or have an unknown outcome.
func (r request) write() bool { return r.kind == opAppend || r.kind == opDelete }

type response struct {
	entry   Entry
	err     error
	done    bool
	attempt int
}

var errCrashed = errors.New("the process crashed")

// process runs the real protocol as a coroutine that stops before each operation, until it is told the outcome.
type process struct {
	next    func() (struct{}, bool)
	stop    func()
	req     request
	res     response
	over    bool
	history uint64 // digest of all outcomes it was told: its state is a function of them
}

func (r *run) start(body func(p *process, do func(request) response)) *process {
	p := &process{}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		dead := false
		do := func(req request) response {
			if dead {
				return response{err: errCrashed}
			}

			if r.mutate != nil {
				req = r.mutate(req)
			}

			p.req = req
			if !yield(struct{}{}) {
				dead = true

				return response{err: errCrashed}
			}

			return p.res
		}
		body(p, do)
	})
	p.resume()

	return p
}

// state identifies the process's state. One that waits for work has nothing left of what it did before.
func (p *process) state() uint64 {
	switch {
	case p.over:
		return 0
	case p.req.kind == opTake, p.req.kind == opFloor:
		return 1
	default:
		return p.history
	}
}

func (p *process) resume() {
	if _, ok := p.next(); !ok {
		p.over = true
	}
}

// told gives the process an outcome and lets it run to its next operation.
func (p *process) told(h *maphash.Hash, res response) {
	h.Reset()
	put(h, p.state(), uint64(p.req.kind), res.entry.Seq, flag(res.entry.Scheduled), res.entry.On, res.entry.Mark)
	put(h, flag(res.done), uint64(res.attempt))

	if res.entry.Letter != nil {
		h.WriteString(res.entry.Letter.ID)
	}

	if res.err != nil {
		h.WriteString(res.err.Error())
	}

	p.history = h.Sum64()
	p.res = res
	p.resume()
}

// port is the Store of a process.
type port func(request) response

func (do port) Last(context.Context) (Entry, error) {
	res := do(request{kind: opLast})

	return res.entry, res.err
}

func (do port) First(_ context.Context, log Log, from uint64) (Entry, error) {
	res := do(request{kind: opFirst, log: log, seq: from})

	return res.entry, res.err
}

func (do port) Append(_ context.Context, log Log, e Entry, on Condition) (uint64, error) {
	res := do(request{kind: opAppend, log: log, entry: e, on: on})

	return res.entry.Seq, res.err
}

func (do port) Delete(_ context.Context, seq uint64) error {
	return do(request{kind: opDelete, seq: seq}).err
}

func mailboxOf(do func(request) response) Mailbox {
	return Mailbox{Store: port(do), Wait: func(ctx context.Context, _ int) error { return ctx.Err() }}
}

// poster posts letters one after another and remembers which were acknowledged.
func poster(ctx context.Context, r *run, letters ...string) *process {
	return r.start(func(_ *process, do func(request) response) {
		for _, id := range letters {
			if mailboxOf(do).Post(ctx, &bus.Letter{ID: id}) != nil {
				return
			}

			r.m.acked[id] = true
		}
	})
}

// claimState is all that decides what a claim does next.
type claimState struct {
	entry, top, end, from uint64
	before, deliveries    int
	done                  string
	letter, over          bool
}

// stands notes that the process's state is that of its claim and nothing else, so that different ways there count as
// one.
func (p *process) stands(seed maphash.Seed, c *Claim) {
	p.history = maphash.Comparable(seed, claimState{
		entry: c.entry.Seq, top: c.top.Seq, end: c.end.Seq, from: c.from, before: c.top.Before, deliveries: c.deliveries,
		done: strings.Join(slices.Sorted(maps.Keys(c.done)), " "), letter: c.letter != nil, over: c.over,
	})
}

// worker takes entries for ever. It serves letters as package turn does: a fenced output first, then Done.
func worker(ctx context.Context, r *run, number int) *process {
	return r.start(func(p *process, do func(request) response) {
		for {
			res := do(request{kind: opTake})
			if res.err != nil {
				return
			}

			err := workOff(ctx, r, p, do, res.entry, res.attempt)
			if errors.Is(err, errCrashed) {
				return
			}

			if err == nil {
				res = do(request{kind: opAck, seq: res.entry.Seq})
				if res.err != nil {
					return
				}

				continue
			}

			r.m.orphan(number)
		}
	})
}

// reviver looks for mailboxes left behind, again and again.
func reviver(ctx context.Context, r *run) *process {
	return r.start(func(_ *process, do func(request) response) {
		weak := func(req request) response {
			if r.weakRevive != nil {
				req = r.weakRevive(req)
			}

			return do(req)
		}

		for {
			floor := do(request{kind: opFloor})
			if floor.err != nil {
				return
			}

			if err := mailboxOf(weak).Revive(ctx, floor.entry.Seq); err != nil || !r.recall {
				continue
			}

			if letter := do(request{kind: opFirst, log: Inbox, seq: 1}); letter.err == nil && letter.entry.Seq > 0 {
				_ = mailboxOf(weak).Recall(ctx) // what fails is tried again
			}
		}
	})
}

var (
	errFenced   = errors.New("fenced")
	errReleased = errors.New("given back")
)

func workOff(ctx context.Context, r *run, p *process, do func(request) response, e Entry, n int) error {
	c, err := mailboxOf(do).Open(ctx, e, n)
	if err != nil || c == nil {
		return err
	}

	if r.early && n == 1 && e.On == 0 {
		p.stands(r.hash.Seed(), c)

		return errors.Join(c.Pass(ctx), c.Settle(ctx))
	}

	for {
		p.stands(r.hash.Seed(), c)

		l, err := c.Next(ctx, r.pass)
		if err != nil {
			return err
		}

		p.stands(r.hash.Seed(), c)

		if l == nil {
			return c.Settle(ctx)
		}

		res := do(request{kind: opStart, id: l.ID})
		if res.err == nil && !res.done {
			res = do(request{kind: opFinish, id: l.ID, attempt: res.attempt})
		}

		if errors.Is(res.err, bus.ErrConflict) {
			return errFenced
		}

		if res.err != nil {
			return res.err
		}

		if err := c.Done(ctx, l); err != nil {
			return err
		}

		if r.release && n == 1 {
			return errors.Join(c.Spare(ctx), errReleased)
		}
	}
}
