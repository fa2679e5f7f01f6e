package natsbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// awaitOK repeats a call until it succeeds.
func awaitOK(t *testing.T, b *Bus, what string, call func(context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	for {
		err := call(ctx)
		if err == nil {
			return
		}

		if !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy) {
			t.Fatalf("%s: %v", what, err)
		}

		if b.pause(ctx, 1) != nil {
			t.Fatalf("%s: still %v", what, err)
		}
	}
}

// await receives what satisfies wanted.
func await[T any](t *testing.T, what string, from <-chan T, wanted func(T) bool) {
	t.Helper()

	late := time.NewTimer(patience)
	defer late.Stop()

	for {
		select {
		case got := <-from:
			if wanted(got) {
				return
			}
		case <-late.C:
			t.Fatalf("%s never came", what)
		}
	}
}

// life is an application at work on a bus of its own: a worker, a follower and a watch go on, another process writes.
type life struct {
	server  *serverProcess
	reader  *Bus
	writer  *Bus
	letters chan *bus.Letter
	entries chan *bus.Entry
	keys    chan bus.KVEvent
	n       int
}

func live(t *testing.T) *life {
	t.Helper()

	s := runServer(t, "")
	reader := open(t, Config{URL: s.url, Shards: 1})
	l := &life{
		server:  s,
		reader:  reader,
		writer:  open(t, Config{URL: s.url, AppendTimeout: time.Second}),
		letters: make(chan *bus.Letter, 100), entries: make(chan *bus.Entry, 100), keys: make(chan bus.KVEvent, 100),
	}

	work(t, reader, bus.WorkConfig{Lease: time.Second}, each(t, func(got *bus.Letter) { l.letters <- got }))

	stop := must(reader.Follow(t.Context(), testID(1), func(e *bus.Entry) { l.entries <- e }))(t)
	t.Cleanup(stop)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})

	go func() {
		defer close(ended)

		for ev, err := range reader.Watch(ctx, bus.Sessions, "") {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("watch: %v", err)
				}

				return
			}

			l.keys <- ev
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })

	return l
}

// goOn uses everything, and expects what follows to see it.
func (l *life) goOn(t *testing.T) {
	t.Helper()

	l.n++
	b, id, name := l.writer, testID(1), fmt.Sprint("n", l.n)

	awaitOK(t, l.reader, "last", func(ctx context.Context) error { // from then on the follower sees what is stored
		_, err := l.reader.Last(ctx, id)

		return err
	})
	awaitOK(t, b, "append", func(ctx context.Context) error {
		last, err := b.Last(ctx, id)
		if err != nil {
			return err
		}

		index := 0
		if last != nil {
			index = int(last.End().Index)
		}

		f := frame(id, index, "x")
		f.Writer = name
		_, err = b.Append(ctx, f, last)

		return err
	})
	await(t, "the frame", l.entries, func(e *bus.Entry) bool { return e != nil && e.Writer == name })

	awaitOK(t, b, "post", func(ctx context.Context) error {
		return b.Post(ctx, &bus.Letter{ID: name, Component: component, Session: "s"})
	})
	await(t, "the letter", l.letters, func(got *bus.Letter) bool { return got.ID == name })

	awaitOK(t, b, "set", func(ctx context.Context) error {
		_, err := b.Set(ctx, bus.Sessions, name, []byte(name), 0, 0)
		if errors.Is(err, bus.ErrConflict) {
			return nil // it was stored, and the answer was lost
		}

		return err
	})
	await(t, "the key", l.keys, func(ev bus.KVEvent) bool { return ev.Kind == bus.KVSet && ev.Entry.Key == name })

	awaitOK(t, b, "bury", func(ctx context.Context) error {
		return b.Bury(ctx, &bus.DeadLetter{Letter: bus.Letter{ID: name, Component: component, Session: "s"}})
	})

	for d, err := range b.Dead(t.Context(), component) {
		if err != nil {
			t.Fatal(err)
		}

		if d.ID == name {
			return
		}
	}

	t.Fatalf("dead letter %s is not kept", name)
}

// TestLostStreamsAreMadeAgain deletes each JetStream stream while everything goes on.
func TestLostStreamsAreMadeAgain(t *testing.T) {
	t.Parallel()

	for name, lose := range map[string]func(*Bus) []string{
		"frames":       func(b *Bus) []string { return []string{b.ns.LogStream(0)} },
		"turns":        func(b *Bus) []string { return []string{b.ns.TurnsStream()} },
		"bucket":       func(b *Bus) []string { return []string{bucketPrefix + b.ns.Bucket(string(bus.Sessions))} },
		"dead letters": func(b *Bus) []string { return []string{b.ns.DeadStream()} },
		"everything": func(b *Bus) []string {
			all := []string{b.ns.TurnsStream()}
			for _, c := range b.otherConfigs(1) {
				all = append(all, c.Name)
			}

			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			l := live(t)
			b := l.writer
			l.goOn(t)

			old := must(b.Last(t.Context(), testID(1)))(t)

			for _, jsStream := range lose(b) {
				before := must(b.js.Stream(t.Context(), jsStream))(t).CachedInfo()
				if err := b.js.DeleteStream(t.Context(), jsStream); err != nil {
					t.Fatal(err)
				}

				t.Cleanup(func() {
					after := must(b.js.Stream(context.WithoutCancel(t.Context()), jsStream))(t).CachedInfo()
					if err := fits(after.Config, before.Config); err != nil || after.Config.MaxAge != before.Config.MaxAge {
						t.Errorf("made again with other settings: %v", err)
					}

					if after.State.FirstSeq <= before.State.LastSeq {
						t.Errorf("%s begins again at %d, where it had been at %d", jsStream, after.State.FirstSeq, before.State.LastSeq)
					}
				})
			}

			l.goOn(t)
			l.goOn(t)

			if _, err := b.Get(t.Context(), bus.Registry, "k"); !errors.Is(err, bus.ErrNotFound) { // nothing else uses that one
				t.Errorf("get: %v, want %v", err, bus.ErrNotFound)
			}

			if name == "frames" {
				_, err := b.Append(t.Context(), frame(testID(1), 5, "late"), old)
				if !errors.Is(err, bus.ErrConflict) {
					t.Errorf("append behind a frame that was lost: %v, want %v", err, bus.ErrConflict)
				}

				for e, err := range b.Read(t.Context(), old, bus.Cursor{}) {
					if err == nil && !e.Same(&old.Frame) || err != nil && !errors.Is(err, bus.ErrNotFound) {
						t.Errorf("read up to a frame that was lost: %+v, %v", e, err)
					}
				}
			}
		})
	}
}

// TestWipedServerIsFurnishedAgain starts a server again without its data while everything goes on.
func TestWipedServerIsFurnishedAgain(t *testing.T) {
	t.Parallel()

	l := live(t)
	l.goOn(t)
	l.server.kill()

	if err := os.RemoveAll(l.server.dir); err != nil {
		t.Fatal(err)
	}

	l.server.start(t)
	l.goOn(t)
	l.goOn(t)
}

// TestWhatIsMissingIsReported lets another JetStream stream take the place of one that was lost.
func TestWhatIsMissingIsReported(t *testing.T) {
	t.Parallel()

	b := single(t)
	lost := must(b.js.Stream(t.Context(), b.ns.DeadStream()))(t).CachedInfo().Config
	other := lost
	other.Name = "other"

	if err := b.js.DeleteStream(t.Context(), lost.Name); err != nil {
		t.Fatal(err)
	}

	must(b.js.CreateStream(t.Context(), other))(t)

	b.insist = 0

	for _, err := range b.Dead(t.Context(), component) {
		if !errors.Is(err, bus.ErrUnknown) {
			t.Errorf("list dead letters: %v, want %v", err, bus.ErrUnknown)
		}
	}

	awaitConnection(t, b, func(c bus.Connection) bool { return c.Up && strings.Contains(c.Missing, lost.Name) })

	if err := b.js.DeleteStream(t.Context(), other.Name); err != nil {
		t.Fatal(err)
	}

	awaitConnection(t, b, func(c bus.Connection) bool { return c.Missing == "" })
}

func awaitConnection(t *testing.T, b *Bus, wanted func(bus.Connection) bool) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	for !wanted(b.Connection()) {
		if b.pause(ctx, 1) != nil {
			t.Fatalf("connection is %+v", b.Connection())
		}
	}
}
