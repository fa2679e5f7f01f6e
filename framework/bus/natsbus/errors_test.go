package natsbus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/embedded"
	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestAPIErrors holds still what each code of the server means. Those that a test can provoke are provoked below.
func TestAPIErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, code int
		description  string
		want         error
	}{
		{400, codeWrongLast, "wrong last sequence: 7", bus.ErrConflict},
		{400, codeInFlight, "wrong last sequence", bus.ErrBusy},
		{429, codeTooManyRequests, "too many requests", bus.ErrBusy},
		{503, codeStoreFailed, "maximum bytes exceeded", bus.ErrFull},
		{503, codeStoreFailed, "write error", bus.ErrUnknown},
		{503, codeInsufficient, "insufficient resources", bus.ErrFull},
		{500, codeStorageResources, "insufficient storage resources available", bus.ErrFull},
		{400, codeAccountResources, "resource limits exceeded for account", bus.ErrFull},
		{400, codeTooLarge, "message size exceeds maximum allowed", bus.ErrTooLarge},
		{503, 10008, "JetStream system temporarily unavailable", bus.ErrUnknown},
		{500, codeDeleteFailed, "no message found", nil},
		{400, 10060, "expected stream does not match", nil},
	} {
		err := &apiError{Status: c.status, Code: c.code, Description: c.description}
		if got := err.Unwrap(); !errors.Is(got, c.want) || c.want == nil && got != nil {
			t.Errorf("%v: stands for %v, want %v", err, got, c.want)
		}
	}
}

// TestAnswerAfterAnError: what the API answers counts, not what it answered to an earlier try.
func TestAnswerAfterAnError(t *testing.T) {
	t.Parallel()
	b := single(t)
	answers := []string{`{"error":{"code":503,"err_code":10008,"description":"unavailable"}}`, `{}`}
	must(b.nc.Subscribe(b.apiPrefix+"TEST", func(m *nats.Msg) {
		_ = m.Respond([]byte(answers[0]))
		answers = answers[len(answers)-1:]
	}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.api(ctx, "TEST", nil, &answer{}); err != nil {
		t.Error(err)
	}
}

func TestFullShardRefuses(t *testing.T) {
	t.Parallel()
	b := open(t, Config{URL: embeddedtest.Run(t).URL(), Shards: 1, MaxBytes: 64 << 10})
	id := testID(1)
	var last *bus.Entry
	for i := range 1000 {
		e, err := b.Append(t.Context(), frame(id, i, strings.Repeat("x", 4<<10)), last)
		if errors.Is(err, bus.ErrFull) {
			if i < 5 {
				t.Errorf("full after %d frames", i)
			}
			if got := read(t, b, last, bus.Cursor{}); len(got) != i {
				t.Errorf("a full shard holds %d frames, want all %d that were acknowledged", len(got), i)
			}

			return
		}
		last = must(e, err)(t)
	}
	t.Error("the shard never got full")
}

func TestTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	first := fill(t, b, id, 1)
	size := b.Info().MaxBody
	f := frame(id, 1, strings.Repeat("x", size+1))
	if _, err := b.Append(t.Context(), f, first); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("%d bytes: %v, want %v", size+1, err, bus.ErrTooLarge)
	}
	e := must(b.Append(t.Context(), frame(id, 1, strings.Repeat("x", size)), first))(t)
	got := must(b.Last(t.Context(), id))(t)
	if got.Position != e.Position || !bytes.Equal(got.Body, e.Body) {
		t.Errorf("the largest frame came back as %d bytes at %v", len(got.Body), got.Position)
	}
}

// TestServerRestarts takes the server away in the middle of a stream.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := must(embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"}))(t)
	url := server.URL()
	b := open(t, Config{URL: url, AppendTimeout: DefaultAppendTimeout})
	id := testID(1)
	missed := make(chan struct{}, 100)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) {
		if e == nil {
			missed <- struct{}{}
		}
	}))(t)
	defer stop()
	last := fill(t, b, id, 3)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), frame(id, 3, "3"), last); !errors.Is(err, bus.ErrUnknown) {
		t.Errorf("append without a server: %v, want %v", err, bus.ErrUnknown)
	}
	server = must(embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: strings.TrimPrefix(url, "nats://")}))(t)
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-missed:
	case <-time.After(patience):
		t.Fatal("the reader was not told of the break")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := must(b.Last(ctx, id))(t)
	if got.Position != last.Position {
		t.Fatalf("last entry is at %v, want %v", got.Position, last.Position)
	}
	fill := must(b.Append(ctx, frame(id, 3, "3"), got))(t)
	if seen := read(t, b, fill, bus.Cursor{}); len(seen) != 4 {
		t.Errorf("read %v, want 4 frames", seen)
	}
	if err := b.Err(); err != nil {
		t.Errorf("the bus ended: %v", err)
	}
}

// TestBrokenConnectionEndsCalls cuts the connection under a call that gets no reply.
func TestBrokenConnectionEndsCalls(t *testing.T) {
	t.Parallel()
	b := single(t)
	silent := must(b.nc.SubscribeSync("nobody.answers"))(t)
	c := must(b.req.start(&nats.Msg{Subject: "nobody.answers"}, patience))(t)
	must(silent.NextMsg(patience))(t)
	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.req.wait(t.Context(), c); !errors.Is(err, bus.ErrUnknown) {
		t.Errorf("call over a broken connection: %v, want %v", err, bus.ErrUnknown)
	}
}

func TestClosedBusFails(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	last := fill(t, b, id, 1)
	if err := b.Err(); err != nil {
		t.Errorf("error of an open bus: %v", err)
	}
	for range 2 {
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	<-b.Done()
	_, errAppend := b.Append(t.Context(), frame(id, 1, "x"), last)
	_, errLast := b.Last(t.Context(), id)
	_, errFollow := b.Follow(t.Context(), id, func(*bus.Entry) {})
	_, errGet := b.Get(t.Context(), bus.Sessions, "a")
	for what, err := range map[string]error{
		"append": errAppend, "last": errLast, "follow": errFollow, "get": errGet, "bus": b.Err(),
	} {
		if !errors.Is(err, bus.ErrClosed) {
			t.Errorf("%s: %v, want %v", what, err, bus.ErrClosed)
		}
	}
}

// TestGivenUpConnectionEndsTheBus closes the connection under the bus, as the client does when it gives up.
func TestGivenUpConnectionEndsTheBus(t *testing.T) {
	t.Parallel()
	b := single(t)
	b.nc.Close()
	select {
	case <-b.Done():
	case <-time.After(patience):
		t.Fatal("the bus goes on without a connection")
	}
	if !errors.Is(b.Err(), bus.ErrClosed) {
		t.Errorf("reason is %v", b.Err())
	}
}

func TestHostileIDsAreRefused(t *testing.T) {
	t.Parallel()
	b := single(t)
	var before nats.Statistics
	before.OutMsgs = b.nc.Stats().OutMsgs
	for _, bad := range []string{
		"", "*", ">", "a.b", "a b", "a\r\nb", "\x00", "$JS", "ö", strings.Repeat("x", 65), strings.Repeat("x", 5000),
	} {
		for _, id := range []bus.StreamID{{Session: bad, Stream: "s"}, {Session: "s", Stream: bad}} {
			_, errAppend := b.Append(t.Context(), frame(id, 0, "x"), nil)
			_, errLast := b.Last(t.Context(), id)
			_, errFollow := b.Follow(t.Context(), id, func(*bus.Entry) {})
			for what, err := range map[string]error{"append": errAppend, "last": errLast, "follow": errFollow} {
				if !errors.Is(err, bus.ErrInvalid) {
					t.Errorf("%s of %.20q: %v, want %v", what, id, err, bus.ErrInvalid)
				}
			}
		}
		_, errGet := b.Get(t.Context(), bus.Sessions, "a."+bad)
		_, errSet := b.Set(t.Context(), bus.Sessions, "a."+bad, nil, 0, 0)
		errDelete := b.Delete(t.Context(), bus.Sessions, "a."+bad, 0)
		if bad == "a.b" { // a key may be several ids
			continue
		}
		for what, err := range map[string]error{"get": errGet, "set": errSet, "delete": errDelete} {
			if !errors.Is(err, bus.ErrInvalid) {
				t.Errorf("%s of %.20q: %v, want %v", what, bad, err, bus.ErrInvalid)
			}
		}
	}
	if sent := b.nc.Stats().OutMsgs - before.OutMsgs; sent > 3 { // get, set and delete of the key a.a.b
		t.Errorf("%d messages were sent", sent)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	begun := time.Now()
	if err := (&Bus{}).pause(ctx, 0); err != nil || time.Since(begun) < backoffMin {
		t.Errorf("back-off: %v after %v", err, time.Since(begun))
	}
	cancel()
	if err := (&Bus{}).pause(ctx, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("back-off of an ended context: %v", err)
	}
}

// TestBrokenWritesAreUnknown maps what the client returns to who writes to a connection that broke or was given up.
func TestBrokenWritesAreUnknown(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&net.OpError{Op: "write", Err: syscall.EPIPE}, net.ErrClosed, io.ErrClosedPipe, os.ErrDeadlineExceeded,
	} {
		if got := mapError(err); !errors.Is(got, bus.ErrUnknown) {
			t.Errorf("%v became %v, want %v", err, got, bus.ErrUnknown)
		}
	}
}
