package subjects_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

// build calls the builder of a kind.
func build(ns subjects.Namespace, kind subjects.Kind, component, session, stream string) (string, error) {
	switch kind {
	case subjects.KindLog:
		return ns.Log(session, stream)
	case subjects.KindLive:
		return ns.Live(session, stream)
	case subjects.KindSignal:
		return ns.Signal(session, stream)
	case subjects.KindInbox:
		return ns.Inbox(component, session)
	case subjects.KindReady:
		return ns.Ready(component, session)
	case subjects.KindDead:
		return ns.Dead(component, session, stream)
	case subjects.KindCall:
		return ns.Call(component, stream)
	default:
		return ns.Control(session)
	}
}

func kinds() []subjects.Kind {
	return []subjects.Kind{
		subjects.KindLog, subjects.KindLive, subjects.KindSignal, subjects.KindInbox,
		subjects.KindReady, subjects.KindDead, subjects.KindCall, subjects.KindControl,
	}
}

func TestParseIsTheInverseOfBuild(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns, err := subjects.New(rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "app"), rapid.IntRange(1, 1024).Draw(t, "shards"))
		if err != nil {
			t.Fatal(err)
		}
		kind := rapid.SampledFrom(kinds()).Draw(t, "kind")
		want := subjects.Subject{App: ns.App(), Kind: kind, Session: ids().Draw(t, "session")}
		switch kind {
		case subjects.KindLog, subjects.KindLive, subjects.KindSignal:
			want.Stream, want.Shard = ids().Draw(t, "stream"), ns.Shard(want.Session)
		case subjects.KindInbox, subjects.KindReady:
			want.Component = ids().Draw(t, "component")
		case subjects.KindDead:
			want.Component, want.Turn = ids().Draw(t, "component"), ids().Draw(t, "turn")
		case subjects.KindCall:
			want.Session, want.Component, want.Instance = "", ids().Draw(t, "component"), ids().Draw(t, "instance")
		default:
		}
		s, err := build(ns, kind, want.Component, want.Session, want.Stream+want.Turn+want.Instance)
		if err != nil {
			t.Fatal(err)
		}
		got, err := subjects.Parse(s)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("Parse(%q) = %+v, %v; want %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// TestBadIDsAreRefusedEverywhere puts something that is no id in each place of each subject.
func TestBadIDsAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	bad := rapid.OneOf(foreignIDs(), rapid.StringMatching(`[a-z]{0,3}[.*> \t\n\x00][a-z]{0,3}`)).
		Filter(func(s string) bool { return !subjects.ValidID(s) })
	ns := namespace(t, "shop", 4)
	rapid.Check(t, func(t *rapid.T) {
		id := bad.Draw(t, "id")
		_, readyErr := ns.ReadyFilter(id)
		_, deadErr := ns.DeadFilter(id)
		_, inboxErr := ns.InboxFilter(id)
		errs := []error{readyErr, deadErr, inboxErr}
		for _, kind := range kinds() {
			if kind == subjects.KindCall {
				continue
			}
			_, err := build(ns, kind, "llm", id, "t1")
			errs = append(errs, err)
		}
		for _, kind := range []subjects.Kind{
			subjects.KindLog, subjects.KindLive, subjects.KindSignal, subjects.KindDead, subjects.KindCall,
		} {
			_, err := build(ns, kind, "llm", "alice", id)
			errs = append(errs, err)
		}
		for _, kind := range []subjects.Kind{
			subjects.KindInbox, subjects.KindReady, subjects.KindDead, subjects.KindCall,
		} {
			_, err := build(ns, kind, id, "alice", "")
			errs = append(errs, err)
		}
		for i, err := range errs {
			var invalid *subjects.InvalidIDError
			if !errors.As(err, &invalid) || invalid.ID != id {
				t.Fatalf("%d: %q gave %v", i, id, err)
			}
		}
	})
}

func TestLongestSubject(t *testing.T) {
	t.Parallel()
	ns := namespace(t, strings.Repeat("a", subjects.MaxApp), subjects.MaxShards)
	longest := 0
	for i := range 100 { // one of so many sessions has a shard of four digits
		id := strings.Repeat("x", subjects.MaxID-2) + string(rune('0'+i/10)) + string(rune('0'+i%10))
		for _, kind := range kinds() {
			s, err := build(ns, kind, id, id, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := subjects.Parse(s); err != nil {
				t.Error(err)
			}
			longest = max(longest, len(s))
		}
	}
	if longest != 235 || longest > subjects.MaxSubject {
		t.Errorf("the longest subject has %d bytes; the package says 235", longest)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", ".", "ww", "ww.", "ww..", "ww.shop", "ww.shop.", "ww.shop.log", "ww.shop.log.0", "ww.shop.log.0.a", "ww.shop.log.0.a.",
		"ww.shop.log.0..b", "ww.shop.log..a.b", "ww.shop.log.0.a.b.c", "ww.shop.log.0.a.b.", "ww.shop.log.00.a.b",
		"ww.shop.log.+1.a.b", "ww.shop.log.-1.a.b", "ww.shop.log.1024.a.b", "ww.shop.log.0x1.a.b", "ww.shop.log.1_0.a.b",
		"ww.shop.log.99999999999999999999.a.b", "ww.shop.log.0.a.*", "ww.shop.log.0.>", "ww.*.log.0.a.b", "ww.shop.*.llm.a",
		"ww.Shop.log.0.a.b", "ww.my_shop.log.0.a.b", "WW.shop.log.0.a.b", "ww.shop.LOG.0.a.b", "xww.shop.log.0.a.b",
		" ww.shop.log.0.a.b", "ww.shop.log.0.a.b ", "ww.shop.log.0.a.b\n", "ww.shop.inbox.llm", "ww.shop.inbox..a",
		"ww.shop.inbox.llm.a.b", "ww.shop.inbox.llm.*",
		"ww.shop.dead.llm.a", "ww.shop.dead.llm.a.", "ww.shop.dead.llm.a.b.c", "ww.shop.dead.llm..b",
		"ww.shop.call.llm", "ww.shop.call.llm.", "ww.shop.call..i", "ww.shop.call.llm.i.x", "ww.shop.call.llm.*",
		"ww.shop.sig.0.a", "ww.shop.sig.a.b", "ww.shop.ctl", "ww.shop.ctl.", "ww.shop.ctl.a.b", "ww.shop.ctl.>",
		"ww.shop.other.a", "ww.shop..a.b", "$JS.API.INFO", "_INBOX.abc.def",
		"ww.shop.ctl." + strings.Repeat("x", 65), "ww." + strings.Repeat("a", 33) + ".ctl.a",
	} {
		sub, err := subjects.Parse(s)
		if !errors.Is(err, subjects.ErrInvalid) || sub != (subjects.Subject{}) {
			t.Errorf("Parse(%q) = %+v, %v", s, sub, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ww.shop.log.0.alice.t1", "ww.shop.live.1023.bob._timeline", "ww.shop.sig.0.alice.t1", "ww.shop.inbox.llm.alice",
		"ww.a.ready.b.c", "ww.a.call.b.c",
		"ww.a.dead.b.c", "ww.a.dead.b.c.d", "ww.a.ctl.b", "ww.a.log.01.b.c", "ww.a.log.0.>", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sub, err := subjects.Parse(s)
		if err != nil {
			if sub != (subjects.Subject{}) || !errors.Is(err, subjects.ErrInvalid) {
				t.Fatalf("Parse(%q) = %+v, %v", s, sub, err)
			}

			return
		}
		if sub.String() != s || len(s) > subjects.MaxSubject || strings.ContainsAny(s, "*> \t\r\n") {
			t.Fatalf("Parse(%q) = %+v, which is %q", s, sub, sub.String())
		}
		checkRebuild(t, sub)
	})
}

// checkRebuild builds what was parsed; only the shard may differ, which is the namespace's to say.
func checkRebuild(t *testing.T, sub subjects.Subject) {
	t.Helper()
	ns := namespace(t, sub.App, subjects.MaxShards)
	s, err := build(ns, sub.Kind, sub.Component, sub.Session, sub.Stream+sub.Turn+sub.Instance)
	if err != nil {
		t.Fatalf("%+v can't be built: %v", sub, err)
	}
	again, err := subjects.Parse(s)
	again.Shard = sub.Shard
	if err != nil || again != sub {
		t.Fatalf("%+v became %+v, %v", sub, again, err)
	}
}
