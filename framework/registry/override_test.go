package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/subjects"
)

// said is what a registry knows that operators have said, as "target in component: mode".
func said(r *Registry) []string {
	all, _ := r.overrides()

	var lines []string
	for _, o := range all {
		lines = append(lines, fmt.Sprintf("%s: %s", &o, o.Mode))
	}

	return lines
}

func forced(target, component string, m breaker.Mode) Override {
	return Override{Target: target, Component: component, Mode: m}
}

// TestWhatIsSaidLast: a word for all takes the place of those for single components, and back.
func TestWhatIsSaidLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		r, other := p.registry(kv), p.registry(kv)
		events := p.events(other)

		for _, c := range []struct {
			say  Override
			want []string
		}{
			{forced("db", "", breaker.Auto), nil},
			{forced("db", "llm", breaker.Auto), nil},
			{forced("db", "", breaker.ForceOpen), []string{"db: open"}},
			{forced("a/b.c", "", breaker.ForceOpen), []string{"a/b.c: open", "db: open"}},
			{forced("db", "llm", breaker.ForceClosed), []string{"a/b.c: open", "db: open", "db in llm: closed"}},
			{forced("db", "web", breaker.Auto), []string{"a/b.c: open", "db: open", "db in llm: closed", "db in web: auto"}},
			{forced("db", "", breaker.ForceClosed), []string{"a/b.c: open", "db: closed"}},
			{forced("db", "llm", breaker.ForceOpen), []string{"a/b.c: open", "db: closed", "db in llm: open"}},
			{forced("db", "", breaker.Auto), []string{"a/b.c: open"}},
			{forced("db", "llm", breaker.ForceOpen), []string{"a/b.c: open", "db in llm: open"}},
			{forced("db", "llm", breaker.Auto), []string{"a/b.c: open"}},
		} {
			if err := r.Override(t.Context(), c.say); err != nil {
				t.Fatal(err)
			}

			synctest.Wait()

			if diff := cmp.Diff(c.want, said(other)); diff != "" {
				t.Errorf("after %s: %s (-want +got):\n%s", &c.say, c.say.Mode, diff)
			}
		}

		if n := len(events) + len(other.Find(Query{})); n > 0 {
			t.Errorf("%d instances were made of it", n)
		}
	})
}

func TestWhoIsMeant(t *testing.T) {
	t.Parallel()

	all := []Override{
		forced("a", "", breaker.ForceOpen), forced("a", "llm", breaker.ForceClosed),
		forced("b", "", breaker.ForceOpen), forced("b", "llm", breaker.Auto), forced("c", "web", breaker.ForceOpen),
	}

	for component, want := range map[string]map[string]breaker.Mode{
		"llm":  {"a": breaker.ForceClosed},
		"web":  {"a": breaker.ForceOpen, "b": breaker.ForceOpen, "c": breaker.ForceOpen},
		"":     {"a": breaker.ForceOpen, "b": breaker.ForceOpen},
		"none": {"a": breaker.ForceOpen, "b": breaker.ForceOpen},
	} {
		for range 2 { // in whatever order
			got := map[string]breaker.Mode{}
			for target, o := range Overriding(all, component) {
				got[target] = o.Mode
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("in %q (-want +got):\n%s", component, diff)
			}

			all[0], all[1], all[2], all[3] = all[1], all[0], all[3], all[2]
		}
	}
}

// TestAnOverrideExpires by the bus's clock, or stays, also when the watch was lost meanwhile.
func TestAnOverrideExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kv, p := newBus(), newParts(t)
		defer p.stop()

		link := &broken{KV: kv}
		r := p.registry(link)
		short := forced("short", "", breaker.ForceOpen)
		short.TTL = 600

		for _, o := range []Override{short, forced("long", "", breaker.ForceOpen), forced("gone", "", breaker.ForceOpen)} {
			if err := r.Override(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}

		<-time.After(10*time.Minute - time.Second) // of the bubble
		synctest.Wait()

		if diff := cmp.Diff([]string{"gone: open", "long: open", "short: open"}, said(r)); diff != "" {
			t.Errorf("before the end (-want +got):\n%s", diff)
		}

		<-time.After(2 * time.Second) // of the bubble
		synctest.Wait()

		if diff := cmp.Diff([]string{"gone: open", "long: open"}, said(r)); diff != "" {
			t.Errorf("after the end (-want +got):\n%s", diff)
		}

		link.cut(true)

		if err := New(kv, Config{}).Override(t.Context(), forced("gone", "", breaker.Auto)); err != nil {
			t.Fatal(err)
		}

		link.cut(false)
		<-time.After(time.Hour) // of the bubble

		if diff := cmp.Diff([]string{"long: open"}, said(r)); diff != "" {
			t.Errorf("after a watch was lost (-want +got):\n%s", diff)
		}
	})
}

// TestOverridesAreTold at first and then as they change, and whoever is slow is told the latest.
func TestOverridesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParts(t)
		defer p.stop()

		r := p.registry(newBus())
		seen := make(chan int)

		p.all.Go(func() {
			for all := range r.Overrides(p.ctx) {
				seen <- len(all)
			}
		})

		if n := <-seen; n != 0 {
			t.Errorf("at first there are %d", n)
		}

		for n := range 3 {
			if err := r.Override(t.Context(), forced(fmt.Sprint("t", n), "", breaker.ForceOpen)); err != nil {
				t.Fatal(err)
			}

			synctest.Wait()
		}

		if n := <-seen; n != 1 {
			t.Errorf("then there are %d, want the first one", n)
		}

		if n := <-seen; n != 3 {
			t.Errorf("then there are %d, want all", n)
		}

		synctest.Wait()

		select {
		case n := <-seen:
			t.Errorf("without a change there are %d", n)
		default:
		}
	})
}

// TestAnUnknownOutcome is found out where that is possible, and told where it is not.
func TestAnUnknownOutcome(t *testing.T) {
	t.Parallel()

	open, auto := forced("db", "", breaker.ForceOpen), forced("db", "", breaker.Auto)
	always := slices.Repeat([]string{"lost"}, tries)

	for name, c := range map[string]struct {
		op       bustest.Op
		say      Override
		outcomes []string // of the calls, as long as they fail
		unknown  bool
	}{
		"stored":         {bustest.OpSet, open, []string{"stored"}, false},
		"always stored":  {bustest.OpSet, open, slices.Repeat([]string{"stored"}, tries), false},
		"not stored":     {bustest.OpSet, open, []string{"lost"}, false},
		"first not":      {bustest.OpSet, open, []string{"lost", "lost", "stored"}, false},
		"never stored":   {bustest.OpSet, open, always, true},
		"removed":        {bustest.OpDelete, auto, []string{"stored"}, false},
		"not removed":    {bustest.OpDelete, auto, []string{"lost"}, false},
		"never removed":  {bustest.OpDelete, auto, always, true},
		"can't be read":  {bustest.OpGet, open, []string{"lost"}, true},
		"not even asked": {bustest.OpSet, open, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := bustest.Faulty(newBus(), bustest.FaultConfig{})
			r := New(b, Config{})

			if err := New(b, Config{}).Override(t.Context(), forced("db", "", breaker.ForceClosed)); err != nil {
				t.Fatal(err)
			}

			for _, outcome := range c.outcomes {
				b.FailNext(c.op, bus.ErrUnknown, outcome == "stored")
			}

			err := r.Override(t.Context(), c.say)
			if errors.Is(err, bus.ErrUnknown) != c.unknown || !c.unknown && err != nil {
				t.Fatalf("it ended with %v, want an unknown outcome: %v", err, c.unknown)
			}

			there, err := b.Get(t.Context(), bus.Registry, "_breaker._.db")

			switch {
			case c.unknown:
			case c.say.Mode == breaker.Auto && !errors.Is(err, bus.ErrNotFound),
				c.say.Mode != breaker.Auto && !bytes.Contains(there.Value, []byte(`"mode":"open"`)):
				t.Errorf("afterwards there is %s, %v", there.Value, err)
			}
		})
	}
}

// hanging is a store that answers no change.
type hanging struct{ bus.KV }

func (hanging) Set(ctx context.Context, _ bus.Bucket, _ string, _ []byte, _ uint64, _ time.Duration) (uint64, error) {
	<-ctx.Done()

	return 0, ctx.Err()
}

func (hanging) Delete(ctx context.Context, _ bus.Bucket, _ string, _ uint64) error {
	<-ctx.Done()

	return ctx.Err()
}

func TestTheOutcomeOfWhatWasInterruptedIsUnknown(t *testing.T) {
	t.Parallel()

	for _, m := range []breaker.Mode{breaker.ForceOpen, breaker.Auto} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()

			err := New(hanging{newBus()}, Config{}).Override(ctx, forced("db", "", m))
			if !errors.Is(err, bus.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s ended with %v", m, err)
			}
		})
	}
}

func TestOverridesThatCannotBe(t *testing.T) {
	t.Parallel()

	r := New(newBus(), Config{})
	long := strings.Repeat("x", MaxTarget+1)

	for want, o := range map[string]Override{
		"target is empty":              forced("", "", breaker.ForceOpen),
		"target: use at most 256":      forced(long, "", breaker.ForceOpen),
		`mode "ajar": use open`:        forced("db", "", "ajar"),
		`component "a.b" is no id`:     forced("db", "a.b", breaker.ForceOpen),
		"reason: use at most 256":      {Target: "db", Mode: breaker.ForceOpen, Reason: long},
		"-1 seconds: use 0 or more":    {Target: "db", Mode: breaker.ForceOpen, TTL: -1},
		`component "_" is no id: it b`: forced("db", "_", breaker.Auto),
	} {
		if err := r.Override(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestOverridesThatCannotBeReadAreLogged, and all others are not.
func TestOverridesThatCannotBeReadAreLogged(t *testing.T) {
	t.Parallel()

	var log bytes.Buffer

	r := New(newBus(), Config{Logger: zerolog.New(&log)})
	see := func(key, value string) {
		r.apply(bus.KVEvent{Kind: bus.KVSet, Entry: bus.KVEntry{Key: key, Value: []byte(value)}})
	}

	see("_breaker._.db", `{"target":"db","mode":"open","later":1}`)
	see("_breaker.llm.e--a_2Fb", `{"target":"a/b","component":"llm","mode":"closed"}`)
	r.apply(bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: "_breaker._.none"}})

	if log.Len() > 0 || len(said(r)) != 2 {
		t.Errorf("of %v the log says %s", said(r), &log)
	}

	for key, value := range map[string]string{
		"_breaker._.x":   `{`,
		"_breaker._.y":   `{"target":"x","mode":"open"}`,
		"_breaker.llm.x": `{"target":"x","mode":"open"}`,
		"_breaker._.z":   `{"target":"z","mode":"ajar"}`,
	} {
		log.Reset()
		see(key, value)

		if !strings.Contains(log.String(), key) || len(said(r)) != 2 {
			t.Errorf("of %s the log says %q, known are %v", key, &log, said(r))
		}
	}
}

// TestOverridesOnNATS are kept by the server and end by its clock.
func TestOverridesOnNATS(t *testing.T) {
	t.Parallel()

	p := newParts(t)
	server := embeddedtest.RunInProcess(t)
	r, operator := p.registry(openNATS(t, server)), New(openNATS(t, server), Config{})
	o := Override{Target: "openai/gpt-4o", Mode: breaker.ForceOpen, Reason: "moving"}
	say := func(m breaker.Mode, seconds int) {
		o.Mode, o.TTL = m, seconds
		if err := operator.Override(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	until := func(holds int) Override {
		for all := range r.Overrides(t.Context()) {
			if len(all) == holds {
				return append(all, Override{})[0]
			}
		}

		return Override{}
	}

	say(breaker.ForceOpen, 0)

	if got := until(1); got.Reason != "moving" || got.Made.IsZero() || got.Mode != breaker.ForceOpen {
		t.Errorf("said was %+v", got)
	}

	say(breaker.ForceOpen, 1)
	until(0)

	key, err := subjects.BreakerKey(o.Target, "")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := openNATS(t, server).Get(t.Context(), bus.Registry, key); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("after its time there is still %v", err)
	}

	say(breaker.ForceOpen, 3600) // where one has expired
	until(1)
	say(breaker.Auto, 0)
	until(0)
}
