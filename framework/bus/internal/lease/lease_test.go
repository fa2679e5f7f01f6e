package lease

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLeft(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(time.Second)
		<-time.After(300 * time.Millisecond)

		if got := Left(until); got != 700*time.Millisecond {
			t.Errorf("%v is left of a second, 300 ms of which are over", got)
		}

		// The time of day alone says that an hour is over, as after a suspension.
		if got := left(until, time.Now().Round(0).Add(time.Hour)); got != -time.Hour+700*time.Millisecond {
			t.Errorf("%v is left of a second when the time of day is an hour later", got)
		}

		<-time.After(time.Second)

		if got := Left(until); got != -300*time.Millisecond {
			t.Errorf("%v is left of a second, all of which is over", got)
		}
	})
}
