package operator

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/dial"
	"github.com/woodwork-go/woodwork/internal/redistest"
	"github.com/woodwork-go/woodwork/subjects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a bus, and with it what Woodwork keeps there.
func open(t *testing.T, url string) bus.Bus {
	t.Helper()
	b, err := dial.Open(t.Context(), url, dial.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return b
}

// ask asks JetStream something.
func ask(ctx context.Context, t *testing.T, addr, what string) (a answer) {
	t.Helper()
	if err := insist(ctx, addr, func(c net.Conn) error {
		w, err := openWire(c)
		if err == nil {
			a, err = w.ask(what, nil)
		}
		if a.Error.Code != 0 {
			return nil
		}

		return err
	}); err != nil {
		t.Fatal(err)
	}

	return a
}

func TestJetStreamIsKeptShortAndWiped(t *testing.T) {
	t.Parallel()
	addr := strings.TrimPrefix(embeddedtest.Run(t).URL(), "nats://")
	open(t, "nats://"+addr)
	o := &NATS{Addr: addr}
	keeping, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Keep(keeping, 7*time.Second)
	}()
	var names subjects.Namespace
	for shard := range names.Shards() {
		for string(ask(t.Context(), t, addr, "STREAM.INFO."+names.LogStream(shard)).Config["max_age"]) != "7000000000" {
			if t.Context().Err() != nil {
				t.Fatal("the age is another one")
			}
		}
	}
	stop()
	<-done
	among, err := o.Logs(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Letters(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.Letters(t.Context()); err != nil {
		t.Errorf("what is gone is not gone: %v", err)
	}
	wiped := 6 % names.Shards()
	for name, want := range map[string]int{
		names.LogStream(wiped): 404, names.TurnsStream(): 404, names.LogStream((wiped + 1) % names.Shards()): 0,
	} {
		if got := ask(t.Context(), t, addr, "STREAM.INFO."+name).Error.Code; got != want {
			t.Errorf("%s: code %d, want %d", name, got, want)
		}
	}
	for i := range 20 {
		session := "s" + strconv.Itoa(i)
		if among(session) != (names.Shard(session) == wiped) {
			t.Errorf("session %s of shard %d: %v", session, names.Shard(session), among(session))
		}
	}
}

func TestOneSessionIsWipedOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	b := open(t, server.URL())
	sessions := []string{"s1", "s2", "s3"}
	for _, session := range sessions {
		for _, id := range []string{subjects.Timeline, "answer"} {
			f := bus.Frame{
				ID: bus.StreamID{Session: session, Stream: id}, Attempt: 1, Writer: "w", Begin: true, Body: []byte("x"), Lengths: []int{1},
			}
			if _, err := b.Append(t.Context(), &f, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := &Redis{Addr: server.Addr()}
	among, err := o.Logs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	wiped := 0
	for _, session := range sessions {
		for _, id := range []string{subjects.Timeline, "answer"} {
			last, err := b.Last(t.Context(), bus.StreamID{Session: session, Stream: id})
			if err != nil || (last == nil) != among(session) {
				t.Errorf("session %s: %v, %v", session, last, err)
			}
		}
		if among(session) {
			wiped++
		}
	}
	if wiped != 1 {
		t.Errorf("%d sessions are wiped", wiped)
	}
	if err := o.Letters(t.Context()); !errors.Is(err, errNoLetters) {
		t.Errorf("letters: %v", err)
	}
}

func TestTheOperatorGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&NATS{Addr: "127.0.0.1:1"}).Letters(ctx); err == nil {
		t.Error("a server that is not there was wiped")
	}
}
