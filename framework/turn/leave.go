package turn

import "context"

// final reports whether the turn is not executed again, so that nobody will read its input.
func (f fate) final() bool {
	switch f {
	case complete, follow, cancelled, fail, already:
		return true
	default:
		return false
	}
}

// leave tells the writer of the input not to wait for this component if the turn is done before all of it was read.
func (o *outputs) leave(ctx context.Context, f fate) {
	switch {
	case !f.final():
	case o.input != nil:
		o.input.Release(ctx)
	default: // the handler was not called
		o.run.store.Release(ctx, inputID(o.record), o.record.Component)
	}
}

// leave is for turns that were done before: their input may be written anew by a later attempt, which waits for a
// reader that there won't be.
func (r *run) leave(ctx context.Context, record Record, f fate) {
	if f == already {
		r.store.Release(ctx, inputID(record), record.Component)
	}
}
