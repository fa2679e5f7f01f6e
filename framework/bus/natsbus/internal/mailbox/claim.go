package mailbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Claim is a worker's hold on a mailbox, by a scheduled entry of its register that the broker delivered. It is for one
// goroutine at a time.
type Claim struct {
	m          Mailbox
	entry      Entry
	top        Entry // the entry, or the last mark on it
	deliveries int   // of the entry
	letter     *bus.Letter
	from       uint64              // where the inbox goes on behind the letters that are done
	done       map[string]struct{} // ids of the letters that this claim has done
	end        Entry               // what this claim appended to the register when it gave the mailbox back
	over       bool
}

// Open begins a claim on a delivered entry of the register, delivered for the n-th time (from 1). It returns nil when
// the entry calls nobody: it is idle, a mark or superseded, and can be acknowledged. With [bus.ErrBusy] it could not
// be told; the entry is to be left for another delivery. With [bus.ErrLost] it has been delivered again since.
//
// An entry's first delivery is not checked: nobody can have worked it off before.
func (m Mailbox) Open(ctx context.Context, e Entry, n int) (*Claim, error) {
	if !e.Scheduled || e.Mark != 0 {
		return nil, nil //nolint:nilnil // no claim is an answer, not a failure
	}

	top := e

	if n > 1 {
		var err error
		if top, err = m.current(ctx, e); err != nil || top.Seq == 0 {
			return nil, err
		}

		if top.Before >= n { // a later delivery's claim marked it
			return nil, bus.ErrLost
		}
	}

	return &Claim{m: m, entry: e, top: top, deliveries: n, from: 1, done: map[string]struct{}{}}, nil
}

// Finished is how many letters the claim has done.
func (c *Claim) Finished() int { return len(c.done) }

// Pass gives a mailbox whose letters have not been looked at to the end of the queue of scheduled ones. The claim is over.
func (c *Claim) Pass(ctx context.Context) error {
	for try := 1; !c.over; try++ {
		if err := c.pass(ctx); err != nil {
			if err := c.m.retry(ctx, try, err); err != nil {
				return err
			}
		}
	}

	return nil
}

// Over reports whether the mailbox was given back. Then Settle ends the claim.
func (c *Claim) Over() bool { return c.over }

// Next returns the oldest letter that is not done, the same until Done. When there is none it makes the register idle
// in one step with finding the inbox empty, and returns nil: the claim is over. With pass, a mailbox that has more
// letters after one was done goes to the end of the queue of scheduled ones instead, and the claim is over too.
//
// It fails with [bus.ErrLost] when another worker has taken the mailbox over. That is not always noticed.
func (c *Claim) Next(ctx context.Context, pass bool) (*bus.Letter, error) {
	for try := 1; c.letter == nil && !c.over; try++ {
		e, err := c.m.first(ctx, Inbox, c.from)
		if err != nil {
			return nil, err
		}

		if err := c.step(ctx, e, pass); err != nil {
			if err := c.m.retry(ctx, try, err); err != nil {
				return nil, err
			}
		}
	}

	return c.letter, nil
}

// step acts on the next entry of the inbox.
func (c *Claim) step(ctx context.Context, e Entry, pass bool) error {
	switch {
	case e.Seq == 0:
		return c.rest(ctx)
	case e.Letter == nil || c.has(e.Letter):
		return c.remove(ctx, e.Seq)
	case pass && len(c.done) > 0:
		return c.pass(ctx)
	case len(c.done) > 0 && c.top.Before < c.deliveries-1:
		return c.mark(ctx)
	}

	if len(c.done) > 0 || e.Seq > c.entry.Seq { // the inbox may have been empty since the entry was appended
		if err := c.stay(ctx); err != nil || c.over {
			return err
		}
	}

	l := *e.Letter
	l.Position = bus.Position{Minor: e.Seq}
	l.Deliveries = c.deliveries - c.top.Before
	c.letter = &l

	return nil
}

// stay makes sure that the claim's entry is still what calls a worker to the letter that was just read.
//
// An attempt to make the register idle whose outcome stayed unknown, of this claim or an earlier one, may happen at any
// moment at which the inbox is empty. A poster then calls another worker. While a letter is there it can't happen, and only
// this claim removes the letter; so one look after the letter was read is enough.
func (c *Claim) stay(ctx context.Context) error {
	for try := 1; try <= lookAgain; try++ {
		last, err := c.m.last(ctx)

		switch {
		case err != nil:
			return err
		case last.Seq == c.top.Seq:
			return nil
		case last.Seq > c.top.Seq && last.Mark == 0:
			c.end, c.over = last, true

			return nil
		case last.Seq > c.top.Seq:
			return bus.ErrLost
		}

		if err := c.m.Wait(ctx, try); err != nil {
			return err
		}
	}

	return bus.ErrLost
}

// has reports whether a letter is another copy of one that this claim has done.
func (c *Claim) has(l *bus.Letter) bool {
	_, ok := c.done[l.ID]

	return ok
}

// Done removes the letter that Next returned.
func (c *Claim) Done(ctx context.Context, l *bus.Letter) error {
	if c.letter == nil || l == nil || l.Position != c.letter.Position {
		return fmt.Errorf("the letter is not the one that Next returned: %w", bus.ErrInvalid)
	}

	if err := c.remove(ctx, l.Position.Minor); err != nil {
		return err
	}

	c.done[c.letter.ID] = struct{}{}
	c.letter = nil

	return nil
}

func (c *Claim) remove(ctx context.Context, seq uint64) error {
	if err := c.m.delete(ctx, seq); err != nil {
		return err
	}

	c.from = max(c.from, seq+1)

	return nil
}

// rest makes the register idle on condition that the inbox is empty: Done removes what is done, so nothing else may be
// there. After a refusal the inbox is read from its beginning, should a letter have outlived its removal.
func (c *Claim) rest(ctx context.Context) error {
	seq, err := c.m.Store.Append(ctx, Register, Entry{}, Condition{Inbox, 0})
	if err != nil {
		c.from = 1

		return err
	}

	c.end, c.over = Entry{Seq: seq}, true

	return nil
}

// pass schedules the mailbox anew, fenced on the claim's own entry. A mark of another claim is no end: the entry that
// it names, this one or a later one, still calls that claim's worker, and the next one should that die.
func (c *Claim) pass(ctx context.Context) error {
	end, err := c.replace(ctx, Entry{Scheduled: true, On: c.top.Seq})

	switch {
	case err != nil:
		return err
	case end.Mark != 0:
		return bus.ErrLost
	}

	c.end, c.over = end, true

	return nil
}

// mark notes that a letter was done after the entry had been delivered more than once, so that deliveries of the next
// one are counted from 1. Every claim that is its entry's first does without.
func (c *Claim) mark(ctx context.Context) error {
	top, err := c.markBefore(ctx, c.deliveries-1)
	if err == nil {
		c.top = top
	}

	return err
}

// markBefore notes how many deliveries of the claim's entry don't count for the next letter.
func (c *Claim) markBefore(ctx context.Context, before int) (Entry, error) {
	mark := Entry{Scheduled: true, On: c.top.Seq, Mark: c.entry.Seq, Before: before}

	top, err := c.replace(ctx, mark)
	if err != nil {
		return Entry{}, err
	}

	if top.Mark != c.entry.Seq || top.Before != mark.Before { // another claim's
		return Entry{}, bus.ErrLost
	}

	return top, nil
}

// Spare notes, before the mailbox is given back, that this delivery of the claim's entry is not to be counted for the
// letter that comes next, because Next has not returned it. After Next has it does nothing.
func (c *Claim) Spare(ctx context.Context) error {
	if c.letter != nil || c.over {
		return nil
	}

	before := c.top.Before + 1
	if len(c.done) > 0 {
		before = c.deliveries
	}

	_, err := c.markBefore(ctx, before)

	return err
}

// replace appends an entry to the register, fenced on the claim's top one, and returns the entry that is on top then.
//
// A refusal is no proof of another entry (a deposed leader may refuse too), so that is looked for: it may be another
// worker's, or one of this claim's own that seemed lost. Where there is none, the claim's entry was removed after
// another worker had made the mailbox rest: the claim is lost.
func (c *Claim) replace(ctx context.Context, e Entry) (Entry, error) {
	seq, err := c.m.Store.Append(ctx, Register, e, Condition{Register, c.top.Seq})
	if err == nil {
		e.Seq = seq

		return e, nil
	}

	if !errors.Is(err, bus.ErrConflict) {
		return Entry{}, err
	}

	for try := 1; try <= lookAgain; try++ {
		last, err := c.m.last(ctx)
		if err != nil || last.Seq > c.top.Seq {
			return last, err
		}

		if err := c.m.Wait(ctx, try); err != nil {
			return Entry{}, err
		}
	}

	return Entry{}, bus.ErrLost
}

// Settle removes what the claim's end has superseded. When it returns nil the entry can be acknowledged; otherwise it
// is to be left for another delivery, which will end what is left to do. Before the claim is over it does nothing.
func (c *Claim) Settle(ctx context.Context) error {
	if !c.over {
		return nil
	}

	if c.entry.On == 0 { // nothing lies beneath the entry, so it can go without a look
		if err := c.m.delete(ctx, c.entry.Seq); err != nil {
			return err
		}
	}

	return c.m.clean(ctx, c.end)
}
