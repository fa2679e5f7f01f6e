package subjects_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		app    string
		shards int
		want   string
	}{
		{"", 0, "default/4"},
		{"shop", 1, "shop/1"},
		{"my-shop-2", subjects.MaxShards, "my-shop-2/1024"},
		{"-", 1, "-/1"},
		{strings.Repeat("a", subjects.MaxApp), 1, strings.Repeat("a", subjects.MaxApp) + "/1"},
		{strings.Repeat("a", subjects.MaxApp+1), 1, ""},
		{"my_shop", 1, ""},
		{"Shop", 1, ""},
		{"a.b", 1, ""},
		{"*", 1, ""},
		{"é", 1, ""},
		{"shop", -1, ""},
		{"shop", subjects.MaxShards + 1, ""},
	} {
		ns, err := subjects.New(tc.app, tc.shards)
		if tc.want == "" {
			if !errors.Is(err, subjects.ErrInvalid) || ns != (subjects.Namespace{}) {
				t.Errorf("New(%q, %d) = %v, %v; want ErrInvalid", tc.app, tc.shards, ns, err)
			}

			continue
		}
		if got := fmt.Sprintf("%s/%d", ns.App(), ns.Shards()); err != nil || got != tc.want {
			t.Errorf("New(%q, %d) is %s, %v; want %s", tc.app, tc.shards, got, err, tc.want)
		}
	}
}

func TestZeroNamespaceIsTheDefault(t *testing.T) {
	t.Parallel()
	var zero subjects.Namespace
	ns := namespace(t, "", 0)
	if zero.App() != ns.App() || zero.Shards() != ns.Shards() || zero.LogStream(1) != ns.LogStream(1) {
		t.Errorf("zero namespace is %s with %d shards", zero.App(), zero.Shards())
	}
	a, errA := zero.Log("alice", "t1")
	b, errB := ns.Log("alice", "t1")
	if a != b || a == "" || errA != nil || errB != nil {
		t.Errorf("%q, %v and %q, %v", a, errA, b, errB)
	}
}

func TestNamesOfApplicationsNeverMeet(t *testing.T) {
	t.Parallel()
	apps := rapid.StringMatching(`(a|b|-|log|turns|dead|0){1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		seen := map[string]string{}
		for _, app := range rapid.SliceOfNDistinct(apps, 2, 5, rapid.ID).Draw(t, "apps") {
			ns, err := subjects.New(app, 12)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range allNames(ns) {
				if other, found := seen[name]; found {
					t.Fatalf("%s is a name of %s and of %s", name, other, app)
				}
				seen[name] = app
				if len(name) > 128 || strings.ContainsAny(name, ".*> \t/\\") {
					t.Fatalf("the broker refuses %q", name)
				}
			}
		}
	})
}

// allNames are the names of JetStream streams and buckets, those that look alike included, each listed once.
func allNames(ns subjects.Namespace) []string {
	names := []string{ns.TurnsStream(), ns.DeadStream()}
	for shard := range ns.Shards() {
		names = append(names, ns.LogStream(shard))
	}
	for _, bucket := range []string{"registry", "sessions", "log", "TURNS_", "_DEAD", "a_LOG_0", "", strings.Repeat("x", 100)} {
		names = append(names, ns.Bucket(bucket), "KV_"+ns.Bucket(bucket))
	}

	return names
}

func TestShardsAreEven(t *testing.T) {
	t.Parallel()
	const sessions = 40_000
	for _, shards := range []int{2, 3, 4, 16, 40} {
		for _, format := range []string{"%d", "session-%06d", "user_%x", "%08d-0000-4000-8000-000000000000"} {
			ns := namespace(t, "", shards)
			count := make([]int, shards)
			for i := range sessions {
				count[ns.Shard(fmt.Sprintf(format, i))]++
			}
			for shard, n := range count {
				if mean := sessions / shards; n < mean*8/10 || n > mean*12/10 {
					t.Errorf("%s: shard %d of %d has %d sessions, the mean is %d", format, shard, shards, n, mean)
				}
			}
		}
	}
}
