package call_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
)

// counts is a handler that sends the numbers from 1 to n and then returns err.
func counts(n int, err error) call.Handler {
	return func(_ context.Context, in *call.Incoming) error {
		for i := range n {
			if err := in.Reply([]byte(strconv.Itoa(i + 1))); err != nil {
				return err
			}
		}

		return err
	}
}

// collect returns what a stream says, and its end.
func (w *world) collect(r call.Request) ([]string, error) {
	var got []string

	for body, err := range w.client.Stream(w.t.Context(), r) {
		if err != nil {
			return got, err
		}

		got = append(got, string(body))
	}

	return got, nil
}

func TestAStreamOfReplies(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		for name, c := range map[string]struct {
			handler call.Handler
			want    []string
			code    string
		}{
			"three":        {counts(3, nil), []string{"1", "2", "3"}, ""},
			"none":         {counts(0, nil), nil, ""},
			"broken off":   {counts(2, errors.New("oops")), []string{"1", "2"}, bus.CodeInternal},
			"broken first": {counts(0, &bus.RemoteError{Code: "no"}), nil, "no"},
		} {
			w := setup(t, call.Config{})
			w.serve("i1", 0, c.handler)

			got, err := w.collect(do())
			if diff := cmp.Diff(c.want, got); diff != "" || code(err) != c.code || (err == nil) != (c.code == "") {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
		}
	})
}

func TestAStreamIsNoPlainCall(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{})
	w.serve("i1", 0, counts(2, nil))

	if body, err := w.client.Call(t.Context(), do()); err == nil {
		t.Errorf("two replies became %q", body)
	}
}

func TestAStreamIsSentAgainOnlyBeforeItsFirstReply(t *testing.T) {
	t.Parallel()

	for n, want := range []string{"instead", "1"} {
		w := setup(t, call.Config{})
		w.serve("i1", 0, counts(n, &bus.RemoteError{Code: call.CodeUnavailable}))

		r := do()
		r.Idempotent = true
		r.Fallback = func(context.Context, error) ([]byte, error) { return []byte("instead"), nil }

		got, err := w.collect(r)
		if diff := cmp.Diff([]string{want}, got); diff != "" || (err == nil) != (n == 0) {
			t.Errorf("%d replies: %v\n%s", n, err, diff)
		}
	}
}

func TestAReaderThatLeavesEndsTheHandler(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, setup newWorld) {
		w := setup(t, call.Config{})
		ended := make(chan struct{})
		w.serve("i1", 0, func(ctx context.Context, in *call.Incoming) error {
			defer close(ended)

			if err := in.Reply([]byte("1")); err != nil {
				return err
			}

			<-ctx.Done()

			return ctx.Err()
		})

		for range w.client.Stream(t.Context(), do()) {
			break
		}

		<-ended
	})
}

func TestAStreamsTimeIsForEachReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t, call.Config{})
		i := w.serve("i1", 0, func(ctx context.Context, in *call.Incoming) error {
			for range 3 {
				select {
				case <-time.After(20 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}

				if err := in.Reply([]byte("tick")); err != nil {
					return err
				}
			}

			<-ctx.Done()

			return ctx.Err()
		})

		begun := time.Now()

		var got []string

		var err error

		for body, e := range w.client.Stream(t.Context(), do()) {
			if err = e; e == nil {
				got = append(got, string(body))

				<-time.After(time.Minute) // a reader that takes its time
			}
		}

		// The reader takes them after 20 s, 80 s and 140 s, is ready for more at 200 s, and waits for 30 s.
		if took := time.Since(begun); len(got) != 3 || !errors.Is(err, call.ErrTimeout) || took != 230*time.Second {
			t.Errorf("%v, %v after %v", got, err, took)
		}

		i.Stop(t.Context())
	})
}
