package clock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errMute = errors.New("no answer")

// A clock goes on from the last answer, asks again once in a minute, and does with an older answer where there is no newer
// one.
func TestClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ahead, trip = 10 * time.Minute, 200 * time.Millisecond

		questions, mute := 0, true
		c := New(func(ctx context.Context) (time.Time, error) {
			questions++

			if mute {
				return time.Time{}, errMute
			}

			<-time.After(trip / 2)

			now := time.Now()

			<-time.After(trip / 2)

			return now.Add(ahead), ctx.Err()
		})

		want := func(asked int) {
			t.Helper()

			now, err := c.Now(t.Context())
			if err != nil || !now.Equal(time.Now().Add(ahead)) || questions != asked {
				t.Errorf("it is %v here and %v there after %d questions, want %d: %v", time.Now(), now, questions, asked, err)
			}
		}

		if _, err := c.Now(t.Context()); !errors.Is(err, errMute) {
			t.Errorf("nobody has answered: %v", err)
		}

		mute = false

		want(2)
		want(2)
		<-time.After(fresh - time.Second)
		want(2)
		<-time.After(time.Second)
		want(3)

		mute = true

		<-time.After(fresh)
		want(4)
		want(4)
		<-time.After(again)
		want(5)

		mute = false

		<-time.After(again)
		want(6)
		want(6)
	})
}

// A broker that is slow to answer keeps nobody longer than they wait.
func TestClockOfASlowBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(func(ctx context.Context) (time.Time, error) {
			<-ctx.Done()

			return time.Time{}, ctx.Err()
		})

		ended := make(chan error, 2)

		for range 2 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()

				_, err := c.Now(ctx)
				ended <- err
			}()
		}

		begun := time.Now()

		for range 2 {
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}

		if took := time.Since(begun); took != time.Second {
			t.Errorf("they waited for %v", took)
		}
	})
}
