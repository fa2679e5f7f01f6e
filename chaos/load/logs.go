package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

const (
	// readPatience bounds the reading of one log while the server may be down.
	readPatience = 30 * time.Second
	readWait     = 200 * time.Millisecond
)

// logs are what the bus held of each stream of a session. Streams are read as soon as they have ended, because they may
// expire before the session ends.
type logs struct {
	mu      sync.Mutex
	reading sync.WaitGroup
	entries map[string][]*bus.Entry
	read    map[string]time.Time
}

// keep begins to read a stream, if nobody did before.
func (s *session) keep(ctx context.Context, id string) {
	l := &s.stored
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries, l.read = make(map[string][]*bus.Entry), make(map[string]time.Time)
	}
	if _, begun := l.entries[id]; begun {
		return
	}
	l.entries[id] = nil
	l.reading.Go(func() {
		log := s.readLog(ctx, bus.StreamID{Session: s.id, Stream: id})
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries[id], l.read[id] = log, time.Now()
	})
}

// logs reads what is left of the session's streams.
func (s *session) logs(ctx context.Context, history *check.Session) {
	for i := range history.Turns {
		s.keep(ctx, history.Turns[i].ID)
	}
	for i := range history.Readers {
		for j := range history.Readers[i].Events {
			if e := &history.Readers[i].Events[j]; !e.Gone {
				s.keep(ctx, e.Info.Stream)
			}
		}
	}
	s.stored.reading.Wait()
	history.Logs, history.Read = s.stored.entries, s.stored.read
}

// readLog reads a whole log, and tries again while the server can't be reached.
func (r *Runner) readLog(ctx context.Context, id bus.StreamID) []*bus.Entry {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for ctx.Err() == nil {
		entries, err := r.tryLog(ctx, id)
		if err == nil || errors.Is(err, bus.ErrNotFound) { // its head has expired, so that it can't be checked
			return entries
		}
		pause(ctx, readWait)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Unread++

	return nil
}

func (r *Runner) tryLog(ctx context.Context, id bus.StreamID) ([]*bus.Entry, error) {
	last, err := r.log.Last(ctx, id)
	if err != nil || last == nil {
		return nil, err
	}
	var entries []*bus.Entry
	for e, err := range r.log.Read(ctx, last, bus.Cursor{}) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}

	return entries, nil
}

// settled is a stream that had ended when its session was checked, and the turn that it belongs to, acknowledged when
// somebody was told of the end.
type settled struct {
	id   bus.StreamID
	end  bus.Position
	turn check.Turn
	age  time.Duration
}

// remember keeps where the streams of a session ended. The lock is held.
func (r *Runner) remember(history *check.Session) {
	turns := ends(history)
	for id, log := range history.Logs {
		if n := len(log); n > 0 && log[n-1].State.Final() {
			is := bus.StreamID{Session: history.ID, Stream: id}
			r.settled = append(r.settled, settled{is, log[n-1].Position, turns[id], history.Age})
		}
	}
}

// ends returns for each stream the turn, as acknowledged from when the first to when the last was told of its end.
func ends(history *check.Session) map[string]check.Turn {
	turns := map[string]check.Turn{}
	for i := range history.Turns {
		turns[history.Turns[i].ID] = history.Turns[i]
	}
	for i := range history.Readers {
		for j := range history.Readers[i].Events {
			e := &history.Readers[i].Events[j]
			if e.Event.Kind != stream.KindEnd {
				continue
			}
			t, known := turns[e.Info.Stream]
			if !known {
				t = check.Turn{Posted: turns[e.Info.Root].Posted, ID: e.Info.Root, Acked: true, Asked: e.At, Told: e.At}
			}
			if e.At.Before(t.Asked) {
				t.Asked = e.At
			}
			if e.At.After(t.Told) {
				t.Told = e.At
			}
			turns[e.Info.Stream] = t
		}
	}

	return turns
}

// recheck looks at every stream once more at the end of the run: a zombie may have come back after the check.
func (r *Runner) recheck(ctx context.Context) {
	for _, s := range r.settled {
		if wiped, _ := r.wipes.of(s.id.Session); len(wiped) > 0 {
			continue
		}
		for ctx.Err() == nil {
			last, err := r.log.Last(ctx, s.id)
			if err == nil {
				r.compare(s, last)

				break
			}
			pause(ctx, readWait)
		}
	}
}

func (r *Runner) compare(s settled, last *bus.Entry) {
	v := check.Violation{Session: s.id.Session, Turn: s.turn.ID, Text: "stream " + s.id.Stream}
	switch {
	case last == nil && s.age > 0 && time.Since(s.turn.Posted) > s.age-time.Second: // it may have expired
		return
	case last == nil:
		v.Kind, v.Text = check.Lost, v.Text+" is gone"
	case last.Position != s.end:
		v.Kind, v.Text = check.Zombie, v.Text+" grew after its end"
	default:
		return
	}
	r.failed = append(r.failed, Failure{&check.Session{ID: s.id.Session, Turns: []check.Turn{s.turn}}, []check.Violation{v}})
}
