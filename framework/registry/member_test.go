package registry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func TestAnInstanceIsSeenFromJoiningToLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		r := p.registry(kv)
		events := p.events(r)
		m := p.member(kv, MemberConfig{Instance: Instance{ID: "a", Type: "model"}})

		if _, e := until(t, events, Joined, "a"); e.Instance.State != Initializing || e.Instance.Type != "model" {
			t.Errorf("joined as %+v", e.Instance)
		}

		for _, s := range []State{Ready, Draining} {
			if err := m.Become(s, ""); err != nil {
				t.Fatal(err)
			}

			untilState(events, "a", s)
		}

		m.leave()

		if before, e := until(t, events, Left, "a"); len(before) != 0 || e.Instance.State != Terminated {
			t.Errorf("before it left as %+v: %+v", e.Instance, before)
		}

		if err := <-m.over; err != nil {
			t.Errorf("the member ended with %v", err)
		}

		<-time.After(time.Second) // of the bubble

		if _, err := kv.Get(t.Context(), bus.Registry, "llm.a"); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("its key after it left: %v", err)
		}
	})
}

// An entry lasts while heartbeats come, and disappears within a second of its time to live when they end.
func TestADeadInstanceDisappears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		hung := &broken{KV: kv}
		r := p.registry(kv)
		events := p.events(r)
		p.ready(hung, MemberConfig{Instance: Instance{ID: "a"}})
		untilState(events, "a", Ready)

		<-time.After(time.Hour) // of the bubble

		if len(events) > 0 || len(r.Find(Query{})) != 1 {
			t.Fatalf("a heartbeat made %d events; there are %d instances", len(events), len(r.Find(Query{})))
		}

		died := time.Now()

		hung.pause()
		defer hung.resume()

		if _, e := until(t, events, Broke, "a"); !e.Gone {
			t.Errorf("event %+v, want that it is gone", e)
		}

		if took := time.Since(died); took > DefaultTTL+time.Second {
			t.Errorf("it disappeared after %v", took)
		}
	})
}

// A process that was paused until its entry expired is listed again as soon as it goes on.
func TestAPausedInstanceComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		hung := &broken{KV: kv}
		events := p.events(p.registry(kv))
		m := p.ready(hung, MemberConfig{Instance: Instance{ID: "a"}})
		untilState(events, "a", Ready)
		hung.pause()
		until(t, events, Broke, "a")

		if m.Listed() {
			t.Error("it believes that others see it")
		}

		woke := time.Now()

		hung.resume()
		until(t, events, Joined, "a")
		synctest.Wait()

		if took := time.Since(woke); took > DefaultTTL/3 || !m.Listed() {
			t.Errorf("it came back after %v, listed: %v", took, m.Listed())
		}
	})
}

func TestEverybodyIsBackOneHeartbeatAfterTheBusForgot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = 20

		kv, p := newBus(), newParts(t)
		defer p.stop()

		r := p.registry(kv)
		for range all {
			p.ready(kv, MemberConfig{})
		}

		synctest.Wait()
		forget(t, kv, r)
		synctest.Wait()

		if there := len(r.Find(Query{})); there != 0 {
			t.Fatalf("%d are there after everything was forgotten", there)
		}

		<-time.After(DefaultTTL / 3) // of the bubble
		synctest.Wait()

		if there := len(r.Find(Query{State: Ready})); there != all {
			t.Errorf("%d of %d are back after one heartbeat", there, all)
		}
	})
}

func TestASecondInstanceWithOneIDIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		first := p.ready(kv, MemberConfig{Instance: Instance{ID: "a", Host: "here", PID: 7}})
		second := p.member(kv, MemberConfig{Instance: Instance{ID: "a"}})

		var taken *TakenError
		if err := <-second.over; !errors.As(err, &taken) || taken.Holder.Run != first.self.Run {
			t.Fatalf("the second one ended with %v", err)
		}

		for _, want := range []string{"llm/a", "process 7 on here", "another id"} {
			if !strings.Contains(taken.Error(), want) {
				t.Errorf("the message %q doesn't say %q", taken, want)
			}
		}

		if !first.Listed() {
			t.Error("the first one is no longer listed")
		}
	})
}

// A process that is started again with the id of one that crashed waits until the old entry has expired.
func TestARestartedInstanceWaitsForItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		crashed := &broken{KV: kv}
		old := p.ready(crashed, MemberConfig{Instance: Instance{ID: "a"}})

		synctest.Wait()
		crashed.pause()

		begun := time.Now()
		again := p.member(kv, MemberConfig{Instance: Instance{ID: "a"}})
		<-again.Joined()

		if took := time.Since(begun); took > DefaultTTL+time.Second {
			t.Errorf("it got its id after %v", took)
		}

		crashed.resume() // it was only paused, and finds that it was replaced

		var taken *TakenError
		if err := <-old.over; !errors.As(err, &taken) || taken.Holder.Run != again.self.Run {
			t.Errorf("the old one ended with %v", err)
		}
	})
}

// While the bus doesn't answer a member keeps trying, and says that nobody sees it.
func TestAMemberOutlastsABusThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		away := &failing{KV: kv, err: bus.ErrUnknown, well: make(chan struct{})}
		m := p.member(away, MemberConfig{})

		<-time.After(time.Hour) // of the bubble

		if m.Listed() {
			t.Error("it believes that others see it")
		}

		away.mend()
		<-m.Joined()

		if err := kv.Close(t.Context()); err != nil {
			t.Fatal(err)
		}

		if err := <-m.over; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("on a closed bus it ended with %v", err)
		}
	})
}

func TestAFailedInstanceStaysListedUntilItExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		events := p.events(p.registry(kv))
		m := p.ready(kv, MemberConfig{Instance: Instance{ID: "a"}})
		untilState(events, "a", Ready) // who subscribes later is told that a failed instance is there, not that it broke

		if err := m.Become(Failed, "out of order"); err != nil {
			t.Fatal(err)
		}

		if _, e := until(t, events, Broke, "a"); e.Gone || e.Instance.Problem != "out of order" {
			t.Errorf("event %+v", e)
		}

		m.leave()

		begun := time.Now()
		until(t, events, Left, "a")

		if took := time.Since(begun); took > DefaultTTL+time.Second {
			t.Errorf("it expired after %v", took)
		}
	})
}

func TestIllegalTransitionsAreRefused(t *testing.T) {
	t.Parallel()

	all := []State{Initializing, Ready, Draining, Failed, Terminated}
	allowed := map[State]string{
		Initializing: "initializing ready draining failed terminated", Ready: "ready draining failed terminated",
		Draining: "draining failed terminated", Failed: "failed ready draining terminated", Terminated: "terminated",
	}

	for _, from := range all {
		for _, to := range all {
			want := strings.Contains(" "+allowed[from]+" ", " "+string(to)+" ")
			if from.May(to) != want {
				t.Errorf("%s to %s: %v, want %v", from, to, !want, want)
			}
		}
	}

	m, err := NewMember(newBus(), MemberConfig{Instance: Instance{Component: "llm"}})
	if err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(m.Become(Draining, ""), m.Become(Terminated, "")); err != nil {
		t.Error(err)
	}

	if err := m.Become(Ready, ""); !errors.Is(err, errTransition) {
		t.Errorf("ready after terminated: %v", err)
	}
}

func TestWrongSettingsOfAMemberAreRefused(t *testing.T) {
	t.Parallel()

	for want, cfg := range map[string]MemberConfig{
		"component":    {},
		`"a.b"`:        {Instance: Instance{Component: "llm", ID: "a.b"}},
		"1.5s":         {Instance: Instance{Component: "llm"}, TTL: 1500 * time.Millisecond},
		"at least 1s":  {Instance: Instance{Component: "llm"}, TTL: -time.Second},
		"heartbeat 2s": {Instance: Instance{Component: "llm"}, TTL: 2 * time.Second, Heartbeat: 2 * time.Second},
	} {
		if _, err := NewMember(newBus(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// failing is a store that answers every change with an error until it is mended.
type failing struct {
	bus.KV

	err  error
	well chan struct{}
}

func (f *failing) mend() { close(f.well) }

func (f *failing) Set(
	ctx context.Context, bucket bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	select {
	case <-f.well:
		return f.KV.Set(ctx, bucket, key, value, revision, ttl)
	default:
		return 0, f.err
	}
}
