package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// unreadable is the outcome of a letter that can't be decoded: it is set aside, and then the output that its turn would
// have had ends as failed, so that nobody waits for it, and so do the branches that the session's timeline lists.
func (r *run) unreadable(ctx context.Context, l *bus.Letter, read Record, cause error) outcome {
	ctx, done := r.settling(ctx)
	defer done()

	err := r.bury(ctx, l, &bus.DeadLetter{Reason: cause.Error(), Truncated: true})
	if err == nil {
		err = r.failUnread(ctx, l, read, cause)
	}

	if err != nil {
		return outcome{fate: retry, delay: backoff(l.Deliveries, r.cfg), err: err}
	}

	return outcome{fate: fail, err: cause}
}

// failUnread ends the output of a turn whose letter can't be decoded.
func (r *run) failUnread(ctx context.Context, l *bus.Letter, read Record, cause error) error {
	root, err := r.rootOf(ctx, l, read)
	if err != nil {
		return err
	}

	record := Record{ID: l.ID, Session: l.Session, Component: l.Component, Root: root}
	outs := &outputs{run: r, record: record, trace: l.Trace, again: true}

	_, err = outs.open(ctx, r.cfg.To)
	if err == nil {
		err = outs.end(ctx, fail, cause)
	}

	if err != nil && !errors.Is(err, stream.ErrEnded) {
		return err
	}

	outs.leave(ctx, fail)

	return nil
}

// rootOf is the root turn of a letter that can't be decoded: what could be read of it says, or the session's timeline,
// where its input stream may be announced. Else the turn is taken for one that a user posted.
func (r *run) rootOf(ctx context.Context, l *bus.Letter, read Record) (string, error) {
	if read.ID == l.ID && subjects.ValidID(read.Root) {
		return read.Root, nil
	}

	announced, err := r.store.Shared(ctx, bus.StreamID{Session: l.Session, Stream: subjects.Timeline})
	if err != nil {
		return "", fmt.Errorf("look for turn %s in its session's timeline: %w", l.ID, err)
	}

	for _, chunk := range announced {
		var info stream.Info
		if json.Unmarshal(chunk.Data, &info) == nil && info.Stream == l.ID && subjects.ValidID(info.Root) {
			return info.Root, nil
		}
	}

	return l.ID, nil
}
