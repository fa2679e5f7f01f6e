package stream

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestRecheckWakesWhoeverIsDue lets a caller wait again and again, for intervals that grow and shrink, and be served or
// not: it is woken when it is due and at no other time, whatever its timer was set to before.
func TestRecheckWakesWhoeverIsDue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		waits := rapid.SliceOfN(rapid.Custom(drawWait), 1, 30).Draw(rt, "waits")
		synctest.Test(t, func(*testing.T) {
			var c recheck
			caller := &live{}
			caller.init(&Config{})
			caller.behind = false
			defer c.stop()
			for i, w := range waits {
				w.run(rt, i, &c, caller)
			}
		})
	})
}

// waited is one wait of a caller.
type waited struct {
	Interval time.Duration
	Served   time.Duration // after which something comes
	Busy     time.Duration // with what came, before it waits again
}

func drawWait(t *rapid.T) waited {
	seconds := func(name string) time.Duration {
		return time.Duration(rapid.IntRange(1, 60).Draw(t, name)) * time.Second
	}

	return waited{
		Interval: seconds("interval"),
		Served:   seconds("served") + time.Millisecond, // never at once with being due
		Busy:     seconds("busy") - time.Second,
	}
}

func (w waited) run(t *rapid.T, i int, c *recheck, caller *live) {
	begin := time.Now()
	c.begin(w.Interval, caller)
	serve := time.AfterFunc(w.Served, caller.rouse)
	<-caller.wake
	serve.Stop()
	took, late := time.Since(begin), c.end()
	_, behind, err := caller.take()
	if due := w.Interval < w.Served; err != nil || late != due || behind != due || took != min(w.Interval, w.Served) {
		t.Fatalf("wait %d, %+v: woken after %v, due: %t, to ask the log: %t, %v", i, w, took, late, behind, err)
	}
	<-time.After(w.Busy)
	select {
	case <-caller.wake:
		t.Fatalf("wait %d: woken while it did not wait", i)
	default:
	}
}

// TestRecheckEnds checks that nothing is woken after the end, whether the end comes while the caller waits or before.
func TestRecheckEnds(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var c recheck
			caller := &live{}
			caller.init(&Config{})
			c.begin(time.Second, caller)
			if !waits {
				<-caller.wake
				c.end()
			}
			c.stop()
			if !waits {
				c.begin(time.Second, caller)
			}
			<-time.After(time.Minute)
			select {
			case <-caller.wake:
				t.Error("woken")
			default:
			}
		})
	}
}
