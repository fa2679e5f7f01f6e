package subjects_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

func must(id string, err error) string {
	if err != nil {
		panic(err)
	}

	return id
}

func TestKeys(t *testing.T) {
	t.Parallel()

	two := func(f func(a, b string) (string, error)) string { return must(f("s1", "llm")) }

	for want, got := range map[string]string{
		"s1.llm":                    two(subjects.InstanceKey),
		"_session._.s1":             must(subjects.SessionKey("s1")),
		"_session.acme.t--acme--s1": must(subjects.SessionKey("t--acme--s1")),
		"_session.acme":             subjects.SessionPrefix("acme"),
		"_session":                  subjects.AllSessions(),
		"_breaker._.tool":           must(subjects.BreakerKey("tool", "")),
		"_breaker.llm.tool":         must(subjects.BreakerKey("tool", "llm")),

		"_breaker._.e--openai_2Fgpt-5_2E4-mini": must(subjects.BreakerKey("openai/gpt-5.4-mini", "")),
	} {
		if got != want {
			t.Errorf("built %q, want %q", got, want)
		}
	}

	if got := two(subjects.StateKey); got != "s1.llm" {
		t.Errorf("state: %q", got)
	}

	if got := two(subjects.ServedKey); got != "s1._served.llm" {
		t.Errorf("served: %q", got)
	}

	if session, ok := subjects.ParseSessionKey("_session.other.t--acme--s1"); ok {
		t.Errorf("a record in another tenant's place is taken for that of %s", session)
	}
}

func TestKeysOfBadIDs(t *testing.T) {
	t.Parallel()

	for _, build := range []func(a, b string) (string, error){subjects.InstanceKey, subjects.StateKey, subjects.ServedKey} {
		for _, bad := range [][2]string{{"", "b"}, {"a", ""}, {"a.b", "c"}, {"a", "*"}} {
			if key, err := build(bad[0], bad[1]); !errors.Is(err, subjects.ErrInvalid) {
				t.Errorf("%q: key %q, error %v", bad, key, err)
			}
		}
	}

	for _, bad := range [][2]string{{"", "llm"}, {"", ""}, {"tool", "a.b"}, {"tool", "_x"}, {"tool", "_"}} {
		if key, err := subjects.BreakerKey(bad[0], bad[1]); !errors.Is(err, subjects.ErrInvalid) {
			t.Errorf("breaker %q: key %q, error %v", bad, key, err)
		}
	}

	for _, session := range []string{"_session", "_x"} {
		if key, err := subjects.StateKey(session, "llm"); !errors.Is(err, subjects.ErrInvalid) {
			t.Errorf("state of session %s: key %q, error %v", session, key, err)
		}
	}
}

// Tenants' sessions never meet, and each id leads back to its tenant.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()

	tenant := rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,7}){0,2}`)
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`).Filter(func(s string) bool { return !subjects.Reserved(s) })

	rapid.Check(t, func(t *rapid.T) {
		a, s := tenant.Draw(t, "a"), id.Draw(t, "s")
		b, u := tenant.Draw(t, "b"), id.Draw(t, "u")
		one, other := must(subjects.TenantSession(a, s)), must(subjects.TenantSession(b, u))

		if (one == other) != (a == b && s == u) {
			t.Fatalf("%s of %s is %s, %s of %s is %s", s, a, one, u, b, other)
		}

		owner, name := subjects.SplitTenant(one)
		if owner != a || must(subjects.TenantSession(owner, name)) != one {
			t.Fatalf("%s leads back to %q of %q", one, name, owner)
		}

		key := must(subjects.SessionKey(one))
		if !strings.HasPrefix(key, subjects.SessionPrefix(a)+".") {
			t.Fatalf("%s of %s has the key %s", one, a, key)
		}

		if back, ok := subjects.ParseSessionKey(key); !ok || back != one {
			t.Fatalf("key %s leads back to %q", key, back)
		}

		if c, i, ok := subjects.ParseInstanceKey(must(subjects.InstanceKey(s, u))); !ok || c != s || i != u {
			t.Fatalf("instance %s of %s comes back as %s of %s", u, s, i, c)
		}
	})
}

func TestNamesOfTenants(t *testing.T) {
	t.Parallel()

	for _, bad := range []string{"", "-a", "a-", "a--b", "A", "a.b", "a_b", strings.Repeat("x", subjects.MaxTenant+1)} {
		if err := subjects.CheckTenant(bad); !errors.Is(err, subjects.ErrInvalid) {
			t.Errorf("tenant %q: %v", bad, err)
		}
	}

	for _, id := range []string{"s1", "t--", "t--acme", "t--acme--", "t--A--s", "t----s"} {
		if tenant, session := subjects.SplitTenant(id); tenant != "" || session != id {
			t.Errorf("%s is %q of %q", id, session, tenant)
		}
	}

	if id := must(subjects.TenantSession("", "t--acme--s")); id != "t--acme--s" {
		t.Errorf("without a tenant the id became %s", id)
	}
}

// TestBreakersDoNotMeet: each target in each component has a key of its own, which is no instance's.
func TestBreakersDoNotMeet(t *testing.T) {
	t.Parallel()

	target := rapid.StringN(1, -1, 100)
	component := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[A-Za-z0-9-][A-Za-z0-9_-]{0,5}`))
	id := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)

	rapid.Check(t, func(t *rapid.T) {
		a, c := target.Draw(t, "a"), component.Draw(t, "c")
		b, d := target.Draw(t, "b"), component.Draw(t, "d")
		one, other := must(subjects.BreakerKey(a, c)), must(subjects.BreakerKey(b, d))

		if (one == other) != (a == b && c == d) {
			t.Fatalf("%q in %q has the key %s, %q in %q the key %s", a, c, one, b, d, other)
		}

		if _, _, ok := subjects.ParseInstanceKey(one); ok || !subjects.IsBreakerKey(one) {
			t.Fatalf("%s is taken for an instance's", one)
		}

		if key := must(subjects.InstanceKey(id.Draw(t, "component"), id.Draw(t, "instance"))); subjects.IsBreakerKey(key) {
			t.Fatalf("%s of an instance is taken for a breaker's", key)
		}
	})

	for _, key := range []string{"_breaker.tool", "_breaker..tool", "_breaker.a.b.c", "breaker.a.b", "_breaker._.a b", ""} {
		if subjects.IsBreakerKey(key) {
			t.Errorf("%q is taken for a breaker's", key)
		}
	}
}
