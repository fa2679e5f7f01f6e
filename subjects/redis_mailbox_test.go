package subjects_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

func TestGoldenRedisMailboxNames(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "shop", 4)
	shared := subjects.RedisMailboxes{
		Due: "ww:shop:due:{llm}", Claims: "ww:shop:claims:{llm}", Wake: "ww:shop:wake:{llm}",
	}
	if got, err := ns.RedisMailboxes("llm"); err != nil || got != shared {
		t.Errorf("mailboxes are %+v, %v; want %+v", got, err, shared)
	}
	want := subjects.RedisMailbox{
		RedisMailboxes: shared, Inbox: "ww:shop:inbox:{llm}:alice", Letters: "ww:shop:letters:{llm}:alice",
	}
	if got, err := ns.RedisMailbox("llm", "alice"); err != nil || got != want {
		t.Errorf("mailbox is %+v, %v; want %+v", got, err, want)
	}
	dead := subjects.RedisDead{
		Letters: "ww:shop:dead:{dead}:letters", Index: "ww:shop:dead:{dead}:index", IDs: "ww:shop:dead:{dead}:ids",
	}
	if diff := cmp.Diff(dead, ns.RedisDead()); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	bucket := subjects.RedisBucket{
		Values: "ww:shop:kv:{registry}:values", Keys: "ww:shop:kv:{registry}:keys", Expiry: "ww:shop:kv:{registry}:expiry",
		Revision: "ww:shop:kv:{registry}:revision", Changes: "ww:shop:kv:{registry}:changes",
	}
	if diff := cmp.Diff(bucket, ns.RedisBucket("registry")); diff != "" {
		t.Errorf("bucket (-want +got):\n%s", diff)
	}
	if got := ns.RedisBucket("my bucket").Values; got != "ww:shop:kv:{e--my_20bucket}:values" {
		t.Errorf("values of a name that is no id are %s", got)
	}
}

// No two mailboxes share a name, all names of a component have its hash tag, and what is no id names nothing.
func TestRedisMailboxNamesAreApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns, err := subjects.New(rapid.StringMatching(`[a-z0-9-]{1,8}`).Draw(t, "app"), 0)
		if err != nil {
			t.Fatal(err)
		}
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,6}|[:{}a]{1,3}|`)
		a, b, c, d := id.Draw(t, "a"), id.Draw(t, "b"), id.Draw(t, "c"), id.Draw(t, "d")
		one, err := ns.RedisMailbox(a, b)
		if good := subjects.ValidID(a) && subjects.ValidID(b); good != (err == nil) || !good && !errors.Is(err, subjects.ErrInvalid) {
			t.Fatalf("%q and %q: %+v, %v", a, b, one, err)
		}
		other, errOther := ns.RedisMailbox(c, d)
		if err != nil || errOther != nil {
			return
		}
		same := a == c && b == d
		if (one == other) != same || (one.Inbox == other.Inbox) != same || (one.Due == other.Due) != (a == c) {
			t.Errorf("%q, %q is %+v; %q, %q is %+v", a, b, one, c, d, other)
		}
		seen := map[string]bool{}
		for _, name := range []string{one.Inbox, one.Letters, one.Due, one.Claims, one.Wake} {
			if seen[name] || strings.Count(name, "{"+a+"}") != 1 {
				t.Errorf("%s is named twice or has no tag of %s", name, a)
			}
			seen[name] = true
		}
	})
}
