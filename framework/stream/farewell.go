package stream

import (
	"context"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// farewell tells a stream's writer that a component needs no more of it. Nobody acknowledges that, so it is repeated,
// ever more rarely.
type farewell struct {
	id   bus.StreamID
	said []byte
	wait time.Duration // before it is said again
}

// Release tells the writer of a stream, if there is one, that an assigned reader needs no more of it. It does not
// wait, and does nothing on a closed store. [Reader.Release] is for those that have a reader.
func (s *Store) Release(ctx context.Context, id bus.StreamID, component string) {
	if checkReader(s, component) != nil {
		return
	}
	s.say(ctx, &farewell{id: id, said: hint{word: hintFree, reader: component}.encode()})
}

// say signals a farewell, and sets a timer to do it again. The timers of a store that has closed do nothing.
func (s *Store) say(ctx context.Context, f *farewell) {
	if s.hold() != nil {
		return
	}
	defer s.running.Done()
	_ = s.signals.Signal(ctx, f.id, f.said) // is repeated
	f.wait = max(2*f.wait, s.cfg.Recheck)
	if f.wait <= max(s.cfg.Recheck, s.cfg.RecheckMax) {
		detached := context.WithoutCancel(ctx)
		time.AfterFunc(f.wait, func() { s.say(detached, f) })
	}
}
