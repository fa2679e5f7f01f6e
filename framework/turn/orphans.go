package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// errNotWritten is why a branch failed whose turn completed.
var errNotWritten = errors.New("the turn completed in an attempt that did not write this output")

// endOrphans ends the branches that earlier attempts opened and this one did not, whose readers would wait for ever. They
// are known by the session's timeline, which lists each stream of which something is stored.
func (o *outputs) endOrphans(ctx context.Context, f fate, cause error) error {
	if !o.again {
		return nil
	}

	chunks, err := o.run.store.Shared(ctx, bus.StreamID{Session: o.record.Session, Stream: subjects.Timeline})
	if o.hopeless(err) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("look for outputs of earlier attempts: %w", err)
	}

	if f == complete {
		f, cause = fail, errNotWritten
	}

	for _, chunk := range chunks {
		var info stream.Info
		if json.Unmarshal(chunk.Data, &info) != nil || !o.orphaned(&info) {
			continue
		}

		if err := o.endOrphan(ctx, info.Stream, f, cause); err != nil && !o.hopeless(err) {
			return fmt.Errorf("end output of an earlier attempt: %w", err)
		}
	}

	return nil
}

// hopeless reports whether another try would fail, too: then the turn must not wait for its branches.
func (o *outputs) hopeless(err error) bool {
	for _, final := range []error{bus.ErrCorrupt, bus.ErrUnsupported, bus.ErrInvalid, bus.ErrTooLarge, stream.ErrExpired} {
		if errors.Is(err, final) {
			o.run.cfg.Logger.Warn().Err(err).Str("session", o.record.Session).Str("turn", o.record.ID).
				Msg("could not end an output of an earlier attempt")

			return true
		}
	}

	return false
}

// orphaned reports whether a stream is the turn's and this attempt did not open it.
func (o *outputs) orphaned(info *stream.Info) bool {
	return info.Turn == o.record.ID && info.Component == o.record.Component &&
		!slices.ContainsFunc(o.infos, func(own stream.Info) bool { return own.Stream == info.Stream })
}

func (o *outputs) endOrphan(ctx context.Context, id string, f fate, cause error) error {
	w, err := o.run.store.OpenWriter(ctx, stream.WriterConfig{
		Session: o.record.Session, Info: stream.Info{Stream: id}, Policy: stream.Resume, Unlisted: true,
	})
	if err == nil {
		err = endOne(ctx, w, f, cause)
	}

	if errors.Is(err, stream.ErrEnded) {
		return nil
	}

	return err
}
