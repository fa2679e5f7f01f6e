package subjects_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

func TestGoldenRedisNames(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "shop", 4)
	for _, tc := range []struct {
		build func(a, b string) (string, error)
		a, b  string
		want  string
	}{
		{ns.RedisLog, "alice", "t1", "ww:shop:log:{alice}:t1"},
		{ns.RedisLog, "alice", subjects.Timeline, "ww:shop:log:{alice}:_timeline"},
		{ns.RedisHead, "alice", "t1", "ww:shop:head:{alice}:t1"},
		{ns.RedisLive, "alice", "t1", "ww:shop:live:{alice}:t1"},
		{ns.RedisSignal, "alice", "t1", "ww:shop:sig:{alice}:t1"},
		{ns.RedisCall, "llm", "i1", "ww:shop:call:llm:i1"},
		{func(a, _ string) (string, error) { return ns.RedisReplies(a) }, "p1", "", "ww:shop:replies:p1"},
	} {
		if got, err := tc.build(tc.a, tc.b); got != tc.want || err != nil {
			t.Errorf("built %q, %v; want %q", got, err, tc.want)
		}
	}
}

func TestRedisLife(t *testing.T) {
	t.Parallel()
	ns, err := subjects.New("shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := ns.RedisLife(); got != "ww:shop:life" {
		t.Errorf("the key of a life is %q", got)
	}
}

// No two things share a name, a session's things share its hash tag, and what is no id builds nothing.
func TestRedisNamesAreApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns, err := subjects.New(rapid.StringMatching(`[a-z0-9-]{1,8}`).Draw(t, "app"), 0)
		if err != nil {
			t.Fatal(err)
		}
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,6}|[:{}a]{1,3}|`)
		a, b, c, d := id.Draw(t, "a"), id.Draw(t, "b"), id.Draw(t, "c"), id.Draw(t, "d")
		builders := []func(a, b string) (string, error){ns.RedisLog, ns.RedisHead, ns.RedisLive, ns.RedisSignal, ns.RedisCall}
		i := rapid.IntRange(0, len(builders)-1).Draw(t, "one")
		j := rapid.IntRange(0, len(builders)-1).Draw(t, "other")
		one, err := builders[i](a, b)
		if good := subjects.ValidID(a) && subjects.ValidID(b); good != (err == nil) || !good && !errors.Is(err, subjects.ErrInvalid) {
			t.Fatalf("%q and %q: %q, %v", a, b, one, err)
		}
		other, errOther := builders[j](c, d)
		if err != nil || errOther != nil {
			return
		}
		if (one == other) != (i == j && a == c && b == d) {
			t.Errorf("%d of %q, %q is %s; %d of %q, %q is %s", i, a, b, one, j, c, d, other)
		}
		if i < 4 && strings.Count(one, "{"+a+"}") != 1 {
			t.Errorf("%s has no tag of %s", one, a)
		}
	})
}
