package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/framework"
)

const (
	hangFor    = 2500 * time.Millisecond // longer than a lease
	slowFor    = 25 * time.Millisecond
	retryAfter = 200 * time.Millisecond
	maxTurn    = 20 * time.Second // longer than a turn takes that only suffers faults
	leakBytes  = 4 << 20
	leakSends  = 20
)

var errAsTold = errors.New("failed as the prompt told")

// relay is the service. Its folder of marks outlives the process: what happens once happens once in all instances.
type relay struct {
	marks string
	stamp bool
}

// handle is a [framework.Handler].
func (r *relay) handle(ctx context.Context, turn *framework.Turn) error {
	if r.stamp {
		return answerTimes(ctx, turn)
	}
	returned := make(chan struct{})
	defer close(returned)

	var pace time.Duration
	for chunk, err := range turn.Input.Chunks(ctx) {
		if err != nil {
			return err
		}
		if err := turn.Output.Send(ctx, bytes.ToUpper(chunk.Data)); err != nil {
			return err
		}
		switch h := hook.In(string(chunk.Data)); h {
		case hook.None:
		case hook.Slow:
			pace = slowFor
		case hook.Overrun:
			<-ctx.Done()

			return context.Cause(ctx)
		case hook.Leak:
			go leak(context.WithoutCancel(ctx), turn, returned)
		default:
			if err := r.act(turn, h); err != nil {
				return err
			}
		}
		wait(pace)
	}

	return nil
}

// answerTimes answers with when the turn's handler began and ended, in nanoseconds of the Unix time.
func answerTimes(ctx context.Context, turn *framework.Turn) error {
	begun := time.Now().UnixNano()
	if _, err := turn.Input.ReadAll(ctx); err != nil {
		return err
	}

	return turn.Output.Send(ctx, fmt.Appendf(nil, "%d %d", begun, time.Now().UnixNano()))
}

// act does what a hook says and returns what the handler shall return, or nil to go on.
func (r *relay) act(turn *framework.Turn, h hook.Hook) error {
	switch h {
	case hook.Crash:
		os.Exit(1)
	case hook.Poison:
		panic(errAsTold)
	case hook.Terminate:
		return framework.Terminate(errAsTold)
	default:
	}
	first, err := r.first(turn.ID, h)
	if err != nil || !first {
		return err
	}
	switch h {
	case hook.Panic:
		panic(errAsTold)
	case hook.Hang:
		wait(hangFor)

		return nil
	case hook.Retry:
		return framework.RetryAfter(retryAfter, errAsTold)
	default:
		return errAsTold
	}
}

// first reports whether this is the first execution that meets the turn's hook.
func (r *relay) first(turn string, h hook.Hook) (bool, error) {
	const readable = 0o600
	//nolint:gosec // the folder is a flag's, and a turn's id is no path
	mark, err := os.OpenFile(filepath.Join(r.marks, turn+"."+string(h)), os.O_CREATE|os.O_EXCL, readable)
	if errors.Is(err, os.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mark turn: %w", err)
	}

	return true, mark.Close()
}

// leak goes on after its handler returned, as no handler may: it ends the output, which the framework does as well,
// writes behind the end, and holds memory meanwhile.
func leak(ctx context.Context, turn *framework.Turn, returned <-chan struct{}) {
	held := make([]byte, leakBytes)
	<-returned
	if turn.Output.Close(ctx) != nil {
		return // this execution does not own the turn any more
	}
	for i := range leakSends {
		held[i] = byte(i)
		if turn.Output.Send(ctx, []byte("LEAKED")) == nil {
			turn.Log.Error().Msg("a chunk was taken after the end")
		}
		wait(slowFor)
	}
}

// wait blocks for d and listens to nobody.
func wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
