package turn

import (
	"context"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// input is the input of an attempt, which is opened and first looked at while its output is.
type input struct {
	opened chan struct{} // closed when the rest is set
	reader *stream.Reader
	err    error
}

// openInput begins to open the input of a turn. The caller must close it.
func (r *run) openInput(ctx context.Context, record Record) *input {
	in := &input{opened: make(chan struct{})}

	go func() {
		defer close(in.opened)

		in.reader, in.err = r.store.OpenAssigned(ctx, inputID(record), bus.Cursor{}, record.Component)
		if in.err == nil {
			in.reader.Prefetch(ctx)
		}
	}()

	return in
}

// wait returns the input, or why it could not be opened.
func (in *input) wait() (*stream.Reader, error) {
	<-in.opened

	return in.reader, in.err
}

// close ends the input. It is idempotent.
func (in *input) close() {
	<-in.opened

	if in.reader != nil {
		in.reader.Close()
	}
}
