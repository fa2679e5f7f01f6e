package mailbox

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// model is a broker and the outputs of the letters, small enough to be replayed a million times. Each method is one
// atomic step.
type model struct {
	seq  uint64
	logs [3][]Entry // Inbox and Register
	past []snapshot // earlier states of the logs, for stale reads
	// removed are the entries that were removed from the register.
	removed []Entry
	// keepPast says that there may be stale reads.
	keepPast bool
	seen     map[uint64]*delivery
	out      map[string]*output
	order    []string // letters in the order they were first stored
	acked    map[string]bool
	// flying are operations whose outcome their sender doesn't know and that have not happened yet.
	flying []request
	// overlaps counts moments in which two workers were at work in the session at once; the fence makes them harmless.
	overlaps int
	// exclusive says that nothing excuses an overlap: no worker dies and no lease passes.
	exclusive bool
	// recall says that somebody looks for letters to which nobody was called.
	recall bool
	broken string // the first invariant that broke
}

type snapshot [3][]Entry

// delivery is what the consumer knows of a delivered entry of the register.
type delivery struct {
	count int
	// holder is the worker that has it, or -1 when it waits for another delivery.
	holder int
	// orphan says that the holder died or gave up, so that only the lease ends the delivery.
	orphan bool
}

// output is the fenced output of one letter.
type output struct {
	attempt int  // of the attempt that fenced all before it
	done    bool // completed
}

func newModel() *model {
	return &model{seen: map[uint64]*delivery{}, out: map[string]*output{}, acked: map[string]bool{}}
}

// apply carries out an operation on the logs.
func (m *model) apply(r request) response {
	switch r.kind {
	case opLast:
		return response{entry: last(m.logs[Register])}
	case opFirst:
		return response{entry: first(m.logs[r.log], r.seq)}
	case opDelete:
		m.remember()

		for _, e := range m.logs[Register] {
			if e.Seq == r.seq {
				m.removed = append(m.removed, e)
			}
		}

		for _, log := range []Log{Inbox, Register} {
			m.logs[log] = slices.DeleteFunc(slices.Clone(m.logs[log]), func(e Entry) bool { return e.Seq == r.seq })
		}

		return response{}
	case opAppend:
		return m.append(r)
	case opStart:
		return m.start(r)
	case opFinish:
		return m.finish(r)
	case opFloor:
		return response{entry: Entry{Seq: m.floor()}}
	case opTake, opAck:
	}

	panic("not an operation of the model")
}

func (m *model) append(r request) response {
	if last(m.logs[r.on.Log]).Seq != r.on.Last {
		return response{err: bus.ErrConflict}
	}

	m.remember()
	m.seq++
	e := r.entry
	e.Seq = m.seq
	m.logs[r.log] = append(slices.Clip(m.logs[r.log]), e)

	if r.log == Inbox && !slices.Contains(m.order, e.Letter.ID) {
		m.order = append(m.order, e.Letter.ID)
	}

	return response{entry: e}
}

func (m *model) remember() {
	if m.keepPast {
		m.past = append(m.past, snapshot(m.logs))
	}
}

// start opens the output of a letter: the attempt fences those before it, unless the output is complete.
func (m *model) start(r request) response {
	o := m.out[r.id]
	if o == nil {
		o = &output{}
		m.out[r.id] = o
	}

	if o.done {
		return response{done: true}
	}

	for _, other := range m.order {
		if p := m.out[other]; other != r.id && p != nil && p.attempt > 0 && !p.done {
			m.fail("work on " + r.id + " was accepted while work on " + other + " could be")
		}
	}

	if o.attempt > 0 {
		m.overlaps++

		if m.exclusive {
			m.fail("two workers were called to " + r.id)
		}
	}

	o.attempt++

	return response{attempt: o.attempt}
}

// finish completes an output if the attempt is not fenced, and checks the order of completions.
func (m *model) finish(r request) response {
	o := m.out[r.id]
	if !r.unfenced && (o.done || o.attempt != r.attempt) {
		return response{err: bus.ErrConflict}
	}

	if o.done {
		m.fail(r.id + " was completed twice")
	}

	o.done = true

	for _, earlier := range m.order[:slices.Index(m.order, r.id)] {
		if p := m.out[earlier]; p == nil || !p.done {
			m.fail(r.id + " was completed before " + earlier)
		}
	}

	return response{}
}

func (m *model) fail(what string) {
	if m.broken == "" {
		m.broken = what
	}
}

// stale returns the answers to a read that differ from the present one.
func (m *model) stale(r request) []Entry {
	var answers []Entry

	now := m.apply(r).entry

	for _, s := range m.past {
		var e Entry
		if r.kind == opLast {
			e = last(s[Register])
		} else {
			e = first(s[r.log], r.seq)
		}

		if e != now && !slices.Contains(answers, e) {
			answers = append(answers, e)
		}
	}

	return answers
}

// deliverable returns the entry that the consumer would hand out next, oldest first, redeliveries before others.
func (m *model) deliverable() (Entry, bool) {
	for _, again := range []bool{true, false} {
		for _, e := range m.logs[Register] {
			d := m.seen[e.Seq]
			if again && d != nil && d.holder == waiting || !again && d == nil {
				return e, true
			}
		}
	}

	return Entry{}, false
}

// floor returns up to which sequence all of the register is acknowledged or gone.
func (m *model) floor() uint64 {
	for _, e := range m.logs[Register] {
		if d := m.seen[e.Seq]; d == nil || d.holder != settled {
			return e.Seq - 1
		}
	}

	return m.seq
}

// stuck reports whether the register says that a worker was called although nobody will be; or, where somebody looks for
// that, says that none was called while a letter waits: its poster may be about to call one.
func (m *model) stuck() bool {
	e := last(m.logs[Register])

	return e.Scheduled && e.Seq <= m.floor() || m.recall && !e.Scheduled && len(m.logs[Inbox]) > 0
}

// forgotten returns what a server that is killed may bring back: what was removed of the register and acknowledged.
func (m *model) forgotten() []Entry {
	return slices.DeleteFunc(slices.Clone(m.removed), func(e Entry) bool {
		d := m.seen[e.Seq]

		return d == nil || d.holder != settled
	})
}

// restore brings a removed entry back.
func (m *model) restore(seq uint64) {
	i := slices.IndexFunc(m.removed, func(e Entry) bool { return e.Seq == seq })
	m.logs[Register] = append(slices.Clip(m.logs[Register]), m.removed[i])
	slices.SortFunc(m.logs[Register], func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	m.removed = slices.Delete(m.removed, i, i+1)
}

const (
	waiting = -1
	settled = -2
)

// take hands out an entry. Idle ones are acknowledged at once, as workers do.
func (m *model) take(worker int) response {
	e, ok := m.deliverable()
	if !ok {
		panic("nothing to take")
	}

	d := m.seen[e.Seq]
	if d == nil {
		d = &delivery{}
		m.seen[e.Seq] = d
	}

	d.count++
	d.holder, d.orphan = worker, false

	return response{entry: e, attempt: d.count}
}

// orphan marks what a worker that died or gave up held.
func (m *model) orphan(worker int) {
	for _, d := range m.seen {
		if d.holder == worker {
			d.orphan = true
		}
	}
}

// atRest checks what must hold when nothing is left to happen.
func (m *model) atRest() {
	for _, id := range m.order {
		if o := m.out[id]; m.acked[id] && (o == nil || !o.done) {
			m.fail("acknowledged letter " + id + " was never served")
		}
	}

	for id := range m.acked {
		if !slices.Contains(m.order, id) {
			m.fail("acknowledged letter " + id + " was never stored")
		}
	}
}

// digest adds all of the model that can influence what follows.
func (m *model) digest(h *maphash.Hash, ranks []int, withPast, withRemoved bool) {
	put(h, m.seq)
	digestLogs(h, m.logs)

	if withPast {
		for _, s := range m.past {
			digestLogs(h, s)
		}
	}

	for _, e := range m.logs[Register] {
		if d := m.seen[e.Seq]; d != nil {
			holder := d.holder
			if holder >= 0 {
				holder = ranks[holder]
			}

			put(h, e.Seq, uint64(d.count), uint64(holder-settled), flag(d.orphan))
		}
	}

	for _, id := range m.order {
		h.WriteString(id)

		if o := m.out[id]; o != nil {
			put(h, uint64(o.attempt), flag(o.done))
		}

		put(h, flag(m.acked[id]))
	}

	if withRemoved {
		digestLogs(h, snapshot{m.forgotten()})
	}

	for _, r := range m.flying {
		put(h, uint64(r.kind), uint64(r.log), r.seq, uint64(r.on.Log), r.on.Last)
		put(h, flag(r.entry.Scheduled), r.entry.Mark)
	}
}

func digestLogs(h *maphash.Hash, logs snapshot) {
	for _, log := range logs {
		for _, e := range log {
			put(h, e.Seq, flag(e.Scheduled), e.On, e.Mark)

			if e.Letter != nil {
				h.WriteString(e.Letter.ID)
			}
		}

		put(h, ^uint64(0))
	}
}

func put(h *maphash.Hash, values ...uint64) {
	for _, v := range values {
		maphash.WriteComparable(h, v)
	}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}

	return 0
}

func last(log []Entry) Entry {
	if len(log) == 0 {
		return Entry{}
	}

	return log[len(log)-1]
}

func first(log []Entry, from uint64) Entry {
	for _, e := range log {
		if e.Seq >= from {
			return e
		}
	}

	return Entry{}
}
