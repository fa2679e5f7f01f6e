package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// move is one step in the long life of a session: chunks are written to one of its streams, time passes, a log is lost,
// somebody follows.
type move struct {
	Stream int           // that is written
	Chunks int           // how many; 0: none
	End    bool          // the stream ends with them
	Die    bool          // the writer leaves without an end
	Pass   time.Duration // then
	Lose   int           // the log that is wiped then: 1 the timeline, 2 all of them, 3 the stream's
	Follow int           // 1 from the beginning, more from an earlier cursor
}

func drawMove(t *rapid.T) move {
	m := move{
		Stream: rapid.IntRange(0, 3).Draw(t, "stream"), Chunks: rapid.IntRange(0, 3).Draw(t, "chunks"),
		End: rapid.Bool().Draw(t, "end"), Die: rapid.IntRange(0, 5).Draw(t, "die") == 0,
		Pass:   age / 8 * time.Duration(rapid.SampledFrom([]int{0, 0, 1, 2, 5, 10, 20}).Draw(t, "pass")),
		Follow: rapid.IntRange(0, 6).Draw(t, "follow"),
	}
	if rapid.IntRange(0, 7).Draw(t, "lose?") == 0 {
		m.Lose = rapid.IntRange(1, 3).Draw(t, "lose")
	}

	return m
}

// chronicle plays the moves and judges what followers see. Each chunk says who wrote it, in which execution, and where.
type chronicle struct {
	t      *testing.T
	broker *membus.Broker
	store  *stream.Store

	executions int
	writers    map[string]*stream.Writer
	texts      map[*stream.Writer]string // how its chunks begin
	whole      map[string]time.Time      // streams that nothing was lost of, and when they were begun
	cursors    []stream.SessionCursor
	finished   bool // all streams have ended: a follower waits for none

	mu       sync.Mutex
	problems []error
}

func (c *chronicle) reportf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Errorf(format, args...)) //nolint:err113 // what went wrong, for people
}

const session = "session"

func (c *chronicle) play(m move) {
	name := fmt.Sprint("s", m.Stream)
	c.write(name, m)
	<-time.After(m.Pass)
	c.lose(name, m.Lose)
	switch {
	case m.Follow == 1:
		c.follow(stream.SessionCursor{})
	case m.Follow > 1 && len(c.cursors) > 0:
		c.follow(c.cursors[(m.Follow*7)%len(c.cursors)])
	}
}

// write writes to a stream. A writer whose log is gone is followed by another one.
func (c *chronicle) write(name string, m move) {
	for try := 0; m.Chunks > 0 || m.End || m.Die; try++ {
		err := c.tryWrite(name, m)
		switch {
		case err == nil, errors.Is(err, stream.ErrEnded):
			return
		case !errors.Is(err, stream.ErrExpired) && !errors.Is(err, stream.ErrFenced), try > 3:
			c.reportf("write %s: %w", name, err)

			return
		}
		delete(c.writers, name)
	}
}

func (c *chronicle) tryWrite(name string, m move) error {
	ctx := c.t.Context()
	w := c.writers[name]
	if w == nil {
		var err error
		if w, err = c.store.OpenWriter(ctx, stream.WriterConfig{Session: session, Info: stream.Info{Stream: name}}); err != nil {
			return err
		}
		c.executions++
		c.writers[name], c.texts[w] = w, fmt.Sprintf("%s#%d:", name, c.executions)
	}
	there, err := c.store.End(ctx, w.ID())
	if err != nil {
		return err
	}
	for range m.Chunks {
		if err := w.Send(ctx, fmt.Append(nil, c.texts[w], w.Next())); err != nil {
			return err
		}
	}
	if err := w.Flush(ctx); err != nil {
		return err
	}
	if there == (bus.Cursor{}) && m.Chunks > 0 {
		c.whole[name] = time.Now()
	}
	switch {
	case m.End:
		delete(c.writers, name)

		return w.Close(ctx)
	case m.Die:
		delete(c.writers, name)

		return w.Withdraw(ctx)
	default:
		return nil
	}
}

// finish ends all streams, and lets somebody follow.
func (c *chronicle) finish() {
	for i := range 4 {
		c.write(fmt.Sprint("s", i), move{End: true})
	}
	c.finished = true
	c.follow(stream.SessionCursor{})
}

// lose wipes logs.
func (c *chronicle) lose(name string, what int) {
	wipe := func(names ...string) {
		for _, name := range names {
			c.broker.Wipe(bus.StreamID{Session: session, Stream: name})
			delete(c.whole, name)
		}
	}
	switch what {
	case 1:
		wipe(subjects.Timeline)
		clear(c.whole) // what was announced is not found any more
	case 2:
		wipe(subjects.Timeline, "s0", "s1", "s2", "s3")
		clear(c.whole)
	case 3:
		wipe(name)
	}
}

// follow follows the session until nothing more comes, or it is told that it can't go on from there.
func (c *chronicle) follow(from stream.SessionCursor) {
	f, err := c.store.Follow(c.t.Context(), stream.FollowConfig{Session: session, From: from})
	if err != nil {
		c.reportf("follow from %v: %w", from, err)

		return
	}
	defer f.Close()
	v := view{chronicle: c, from: from}
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute) // twice what an announcement is waited for
	defer cancel()
	for {
		ev, err := f.Next(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			if c.finished {
				v.complete()
			}

			return
		case errors.Is(err, stream.ErrExpired) && from != stream.SessionCursor{}:
			return
		case errors.Is(err, stream.ErrExpired): // of a stream that was being read
		case err != nil:
			c.reportf("follow from %v: %w", from, err)

			return
		default:
			v.see(ev)
			c.cursors = append(c.cursors, ev.Cursor)
		}
	}
}

// view is what one follower has seen.
type view struct {
	*chronicle

	from   stream.SessionCursor
	at     stream.SessionCursor
	name   string
	next   uint64 // of the stream that is read
	known  bool   // next is known
	text   string // how the chunks of its present attempt begin
	opened []string
}

// see judges an event.
func (v *view) see(ev stream.SessionEvent) {
	if v.at != (stream.SessionCursor{}) && v.at.Life == ev.Cursor.Life && v.at.Position >= ev.Cursor.Position &&
		!v.at.Cursor.Before(ev.Cursor.Cursor) && ev.Event.Kind != stream.KindOpened {
		v.reportf("from %v: cursor %v follows %v", v.from, ev.Cursor, v.at)
	}
	v.at = ev.Cursor
	switch ev.Event.Kind {
	case stream.KindOpened:
		v.name, v.next, v.known, v.text = ev.Info.Stream, 0, true, ""
		v.opened = append(v.opened, v.name)
	case stream.KindSuperseded:
		v.next, v.known, v.text = ev.Event.From, true, ""
	case stream.KindChunk:
		v.chunk(ev)
	case stream.KindEnd:
	}
}

func (v *view) chunk(ev stream.SessionEvent) {
	data, index := string(ev.Event.Chunk.Data), ev.Event.Chunk.Index
	if v.name == "" { // the first one after a cursor
		v.name = ev.Info.Stream
	}
	if v.known && index != v.next {
		v.reportf("from %v: chunk %d of %s, want %d", v.from, index, v.name, v.next)
	}
	v.next, v.known = index+1, true
	text := data[:len(data)-len(fmt.Sprint(index))]
	if text+fmt.Sprint(index) != data || v.text != "" && text != v.text || ev.Info.Stream != v.name {
		v.reportf("from %v: %q as chunk %d of %s behind those of %q", v.from, data, index, v.name, v.text)
	}
	v.text = text
}

// complete checks that a follower from the beginning saw every stream that can still be there as a whole.
func (v *view) complete() {
	for name, begun := range v.whole {
		if time.Since(begun) < age-5*time.Minute && !slices.Contains(v.opened, name) {
			v.reportf("stream %s, begun %v ago, was not shown, but %v", name, time.Since(begun), v.opened)
		}
	}
}

// TestAnySessionOutlivesItsEntries lets a session live for many times as long as its entries are kept.
func TestAnySessionOutlivesItsEntries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOfN(rapid.Custom(drawMove), 1, 30).Draw(rt, "moves")
		var problems []error
		synctest.Test(t, func(t *testing.T) {
			broker := membus.NewBroker(membus.Config{MaxAge: age})
			b := broker.Open()
			c := &chronicle{
				t: t, broker: broker, store: stream.NewStore(b, b.Info(), stream.Config{}),
				writers: map[string]*stream.Writer{}, texts: map[*stream.Writer]string{}, whole: map[string]time.Time{},
			}
			for _, m := range moves {
				c.play(m)
			}
			c.finish()
			c.store.Close()
			_ = b.Close(context.WithoutCancel(t.Context()))
			problems = c.problems
		})
		if err := errors.Join(problems...); err != nil {
			rt.Fatal(err)
		}
	})
}
