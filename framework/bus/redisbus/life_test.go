package redisbus

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// journal is what a bus logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.text.Write(p)
}

func (j *journal) says(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()

	return strings.Contains(j.text.String(), text)
}

// Whoever works, follows, watches and serves goes on by itself on a server that has lost all its data, and says so.
func TestAServerLosesItsData(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, *redistest.Server, *redis.Client){
		"emptied": func(t *testing.T, _ *redistest.Server, c *redis.Client) {
			t.Helper()
			must(c.FlushAll(t.Context()).Result())(t)
			must(c.ScriptFlush(t.Context()).Result())(t)
		},
		"another one at its address": func(t *testing.T, s *redistest.Server, _ *redis.Client) {
			t.Helper()
			s.Kill() // it has no file
			s.Start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Run(t, redistest.Options{})
			c := admin(t, s.URL())
			losesItsData(t, s.URL(), func() { lose(t, s, c) })
		})
	}
}

func losesItsData(t *testing.T, url string, lose func()) {
	t.Helper()
	var said journal
	b := open(t, Config{URL: url, Logger: zerolog.New(&said), AppendTimeout: 2 * time.Second})
	at := bus.Endpoint{Component: "c", Instance: "i"}
	stop := must(b.Serve(t.Context(), at, func(_ context.Context, request *bus.Message, reply func(*bus.Message) error) error {
		return reply(request)
	}))(t)
	defer stop()
	lost := fill(t, b, testID(1), 5)
	live := make(chan *bus.Entry, 64)
	unfollow := must(b.Follow(t.Context(), testID(1), func(e *bus.Entry) { live <- e }))(t)
	defer unfollow()
	watched := watching(t, b, "k")
	wantEvent(t, watched, bus.KVSynced, "", "")
	before := setKey(t, b, "k.lost", "old", 0)
	wantEvent(t, watched, bus.KVSet, "k.lost", "old")
	setKey(t, b, "k.again", "old", 0)
	wantEvent(t, watched, bus.KVSet, "k.again", "old")
	begun, ended, done := make(chan string, 8), make(chan error, 8), make(chan string, 64)
	working(t, b, bus.WorkConfig{Lease: time.Second}, func(ctx context.Context, claim bus.Claim) {
		if claim.Session() != "held" {
			eachLetter(t, func(l *bus.Letter) { done <- l.Session })(ctx, claim)

			return
		}
		l, err := claim.Next(ctx)
		if err != nil {
			t.Error(err)
		}
		begun <- l.ID
		<-ctx.Done()
		ended <- errors.Join(context.Cause(ctx), claim.Done(context.WithoutCancel(ctx), l))
	})
	posted(t, b, "held", 0, 1)
	receive(t, "turn", begun)

	lose()

	// The turn under way is told, and new ones run.
	wantErr(t, "the claim", receive(t, "end of the turn", ended), bus.ErrLost)
	posted(t, b, "next", 0, 1)
	receive(t, "turn after the loss", done)

	// A key that is made again has a later revision, so whoever knows the one before can't take it for that.
	var after uint64
	retry(t, "set", func() (err error) {
		after, err = b.Set(t.Context(), bus.Registry, "k.again", []byte("new"), 0, 0)

		return err
	})
	if after <= before {
		t.Errorf("a key that was lost comes back with revision %d, not behind %d", after, before)
	}
	seen := map[string]bus.KVEventKind{}
	for seen["k.again"] != bus.KVSet || seen["k.lost"] != bus.KVGone {
		e := receive(t, "change", watched)
		if seen[e.Entry.Key] = e.Kind; e.Kind == bus.KVSet && string(e.Entry.Value) != "new" {
			t.Errorf("the watch tells of %+v", e)
		}
	}

	// Followers are told to look, find nothing, and hear of the new log.
	for receive(t, "word that something may be missing", live) != nil {
		continue
	}
	if e := must(b.Last(t.Context(), lost.ID))(t); e != nil {
		t.Errorf("the log ends with %+v", e.Frame)
	}
	_, err := b.Append(t.Context(), frame(lost.ID, 5, "x"), lost)
	wantErr(t, "append behind what is lost", err, bus.ErrConflict)
	again := must(b.Append(t.Context(), frame(lost.ID, 0, "again"), nil))(t)
	for e := (*bus.Entry)(nil); e == nil; {
		if e = receive(t, "frame", live); e != nil && e.Position != again.Position {
			t.Errorf("delivered %+v", e.Frame)
		}
	}
	for reply, err := range b.Call(t.Context(), at, &bus.Message{Body: []byte("x")}) {
		if err != nil || string(reply.Body) != "x" {
			t.Errorf("a call is answered with %v, %v", reply, err)
		}
	}
	retry(t, "the log", func() error {
		if !said.says("NOT those of before") {
			return bus.ErrUnknown
		}

		return nil
	})
}

// Two processes agree on which data there are, whoever is first, and say nothing while they are the same.
func TestOneLifeForAll(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{})
	var said journal
	cfg := Config{URL: s.URL(), Logger: zerolog.New(&said)}
	one, other := open(t, cfg), open(t, cfg)
	one.checkLife(t.Context())
	if one.life.id == "" || one.life.id != other.life.id {
		t.Errorf("lives %q and %q", one.life.id, other.life.id)
	}
	if said.says("NOT those of before") {
		t.Error("the data were said to be lost")
	}
}
