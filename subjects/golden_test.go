package subjects_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/subjects"
)

// The values in this file are in use in brokers: a change of any of them loses sight of stored data.

func TestGoldenSubjects(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "shop", 4)
	for _, tc := range []struct {
		got  func() (string, error)
		want string
		says subjects.Subject
	}{
		{
			func() (string, error) { return ns.Log("alice", "t1") }, "ww.shop.log.0.alice.t1",
			subjects.Subject{App: "shop", Kind: subjects.KindLog, Session: "alice", Stream: "t1"},
		},
		{
			func() (string, error) { return ns.Live("bob", subjects.Timeline) }, "ww.shop.live.1.bob._timeline",
			subjects.Subject{App: "shop", Kind: subjects.KindLive, Shard: 1, Session: "bob", Stream: "_timeline"},
		},
		{
			func() (string, error) { return ns.Signal("alice", "t1") }, "ww.shop.sig.0.alice.t1",
			subjects.Subject{App: "shop", Kind: subjects.KindSignal, Session: "alice", Stream: "t1"},
		},
		{
			func() (string, error) { return ns.Inbox("llm", "alice") }, "ww.shop.inbox.llm.alice",
			subjects.Subject{App: "shop", Kind: subjects.KindInbox, Component: "llm", Session: "alice"},
		},
		{
			func() (string, error) { return ns.Ready("llm", "alice") }, "ww.shop.ready.llm.alice",
			subjects.Subject{App: "shop", Kind: subjects.KindReady, Component: "llm", Session: "alice"},
		},
		{
			func() (string, error) { return ns.Dead("llm", "alice", "t1") }, "ww.shop.dead.llm.alice.t1",
			subjects.Subject{App: "shop", Kind: subjects.KindDead, Component: "llm", Session: "alice", Turn: "t1"},
		},
		{
			func() (string, error) { return ns.Call("llm", "i1") }, "ww.shop.call.llm.i1",
			subjects.Subject{App: "shop", Kind: subjects.KindCall, Component: "llm", Instance: "i1"},
		},
		{
			func() (string, error) { return ns.Control("alice") }, "ww.shop.ctl.alice",
			subjects.Subject{App: "shop", Kind: subjects.KindControl, Session: "alice"},
		},
	} {
		got, err := tc.got()
		if got != tc.want || err != nil {
			t.Errorf("built %q, %v; want %q", got, err, tc.want)
		}
		if says, err := subjects.Parse(tc.want); says != tc.says || err != nil {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tc.want, says, err, tc.says)
		}
	}
}

func TestGoldenNames(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "my-shop", 4)
	ready, err := ns.ReadyFilter("llm")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := ns.DeadFilter("llm")
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := ns.InboxFilter("llm")
	if err != nil {
		t.Fatal(err)
	}
	got := append([]string{
		ns.LogStream(0), ns.LogStream(3), ns.TurnsStream(), ns.DeadStream(),
		ns.Bucket("registry"), ns.Bucket("my sessions"), ns.Consumer("llm"), ns.Consumer("my llm"),
		ns.LogWildcard(3), ns.LiveWildcard(3), ns.DeadWildcard(), ns.Wildcard(), inbox, ready, dead,
	}, ns.TurnsWildcards()...)
	want := []string{
		"WW_my-shop_LOG_0", "WW_my-shop_LOG_3", "WW_my-shop_TURNS", "WW_my-shop_DEAD",
		"WW_my-shop_registry", "WW_my-shop_e--my_20sessions", "llm", "e--my_20llm",
		"ww.my-shop.log.3.>", "ww.my-shop.live.3.>", "ww.my-shop.dead.*.*.*", "ww.my-shop.>",
		"ww.my-shop.inbox.llm.*", "ww.my-shop.ready.llm.*", "ww.my-shop.dead.llm.*.*",
		"ww.my-shop.inbox.*.*", "ww.my-shop.ready.*.*", "ww.my-shop.ctl.*",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoldenIDs(t *testing.T) {
	t.Parallel()
	long := fmt.Sprintf("%064d", 7)
	for _, tc := range []struct{ got, want string }{
		{subjects.Encode("alice"), "alice"},
		{subjects.Encode(long), long},
		{subjects.Encode(""), "e--"},
		{subjects.Encode("alice@example.com"), "e--alice_40example_2Ecom"},
		{subjects.Encode("a b"), "e--a_20b"},
		{subjects.Encode("ä"), "e--_C3_A4"},
		{subjects.Encode("\xff\x00"), "e--_FF_00"},
		{subjects.Encode("_timeline"), "e--_5Ftimeline"},
		{subjects.Encode("e--"), "e--e--"},
		{subjects.Encode("z--x"), "e--z--x"},
		{subjects.Encode(long + "0"), "h--qHgJOgtqmW_hYEz-PQXZ9UMn0PP5aX-xHKBDFyGp9Ho"},
		{subjects.Derive("t1", "llm"), "d--llm-b6521c92c7d54034be1e8f5424ff905d87c1ef95"},
		{subjects.Derive("t1", "llm", "output"), "d--llm-7808ed2b677b802501122311317735d96fb0d32c"},
		{subjects.Derive("t1"), "d---5cf810eb7838502cc8a6691fffce3a8a0e49496e"},
		{subjects.Derive("", "a component with a long name"), "d--acomponentwithalongn-65950880eb005ea5b0c29039f3f59055446e8026"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}

func TestGoldenShards(t *testing.T) {
	t.Parallel()
	sessions := []string{"", "a", "alice", "bob", "session-1", "session-2", "e--a_20b"}
	for shards, want := range map[int][]int{
		1:    {0, 0, 0, 0, 0, 0, 0},
		4:    {1, 0, 0, 1, 0, 1, 3},
		7:    {6, 1, 0, 0, 1, 2, 5},
		1024: {961, 192, 956, 589, 272, 361, 947},
	} {
		ns := namespace(t, "", shards)
		got := make([]int, 0, len(sessions))
		for _, s := range sessions {
			got = append(got, ns.Shard(s))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d shards (-want +got):\n%s", shards, diff)
		}
	}
}

func namespace(t testing.TB, app string, shards int) subjects.Namespace {
	t.Helper()
	ns, err := subjects.New(app, shards)
	if err != nil {
		t.Fatal(err)
	}

	return ns
}
