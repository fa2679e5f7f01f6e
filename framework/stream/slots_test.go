package stream

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Many take slots in each of the ways there are, and some give up: never are more slots taken than there are, all who
// wait are served, and all slots are free in the end.
func TestSlotsAreBounded(t *testing.T) {
	t.Parallel()

	const limit, many = 3, 300

	s := slots{free: limit}

	var (
		taken, served atomic.Int32
		all           sync.WaitGroup
	)

	use := func() {
		if n := taken.Add(1); n > limit {
			t.Errorf("%d slots are taken, of %d", n, limit)
		}

		served.Add(1)
		taken.Add(-1)
		s.give()
	}

	over := make(chan struct{})
	close(over)

	for i := range many {
		all.Go(func() {
			switch i % 3 {
			case 0:
				all.Add(1)
				s.take(func() { use(); all.Done() })
			case 1:
				if s.wait(nil, nil) {
					use()
				}
			default:
				if s.wait(over, nil) { // it waits for nothing, but may get one all the same
					use()
				}
			}
		})
	}

	all.Wait()

	if n := served.Load(); n < 2*many/3 {
		t.Errorf("%d were served, want at least the %d who waited", n, 2*many/3)
	}

	for n := range limit {
		if !s.try() {
			t.Fatalf("%d slots are free in the end, want %d", n, limit)
		}
	}

	if s.try() {
		t.Errorf("there are more than %d slots", limit)
	}
}

// Who waits is served in the order of coming, whichever way it waits.
func TestSlotsAreFair(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		s := slots{free: 1}
		if !s.try() || s.try() {
			t.Fatal("there is one slot")
		}

		var order []int

		for i := range 6 {
			if i%2 == 0 {
				s.take(func() { order = append(order, i); time.AfterFunc(time.Second, s.give) })
			} else {
				go func() {
					s.wait(nil, nil)

					order = append(order, i)
					time.AfterFunc(time.Second, s.give)
				}()
			}

			synctest.Wait()
		}

		s.give()
		<-time.After(time.Minute)

		for i, got := range order {
			if got != i {
				t.Fatalf("served in the order %v", order)
			}
		}

		if len(order) != 6 || !s.try() {
			t.Errorf("served %v, and the slot is not free", order)
		}
	})
}

// A slot goes past those who have given up waiting.
func TestSlotsGoPastTheGone(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		s := slots{}
		done, got := make(chan struct{}), make(chan bool, 3)

		for range 2 {
			go func() { got <- s.wait(done, nil) }()
		}

		synctest.Wait()

		go func() { got <- s.wait(nil, nil) }()

		synctest.Wait()
		close(done)

		for range 2 {
			if <-got {
				t.Error("got a slot where there was none")
			}
		}

		s.give()

		if !<-got {
			t.Error("the slot got lost")
		}
	})
}
