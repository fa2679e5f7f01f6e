package subjects_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

// fataler is what a *testing.T and a *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkEncoding proves that id can come from foreign only: it is decoded or, where it is a hash, computed again.
func checkEncoding(t fataler, foreign string) {
	t.Helper()
	id := subjects.Encode(foreign)
	if !subjects.ValidID(id) || subjects.Reserved(id) {
		t.Fatalf("Encode(%q) = %q, which is no id for the outside", foreign, id)
	}
	made := len(id) >= 3 && id[0] >= 'a' && id[0] <= 'z' && id[1:3] == "--"
	switch {
	case !made:
		if id != foreign {
			t.Fatalf("Encode(%q) = %q, which looks like another's name", foreign, id)
		}
	case strings.HasPrefix(id, "e--"):
		if back, ok := unescape(id[3:]); !ok || back != foreign {
			t.Fatalf("Encode(%q) = %q, which says %q", foreign, id, back)
		}
	default:
		sum := sha256.Sum256([]byte(foreign))
		if id != "h--"+base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Fatalf("Encode(%q) = %q, which is not the hash", foreign, id)
		}
	}
}

// unescape reads the escaped form as it is documented.
func unescape(s string) (string, bool) {
	var b []byte
	for s != "" {
		before, after, found := strings.Cut(s, "_")
		b, s = append(b, before...), after
		if !found {
			break
		}
		if len(s) < 2 || s[:2] != strings.ToUpper(s[:2]) {
			return "", false
		}
		c, err := hex.DecodeString(s[:2])
		if err != nil {
			return "", false
		}
		b, s = append(b, c...), s[2:]
	}

	return string(b), true
}

func TestEncodeIsOneToOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := foreignIDs().Draw(t, "a"), foreignIDs().Draw(t, "b")
		checkEncoding(t, a)
		for _, other := range []string{b, subjects.Encode(a), strings.ToUpper(a), a + "\x00", "_" + a} {
			if (subjects.Encode(a) == subjects.Encode(other)) != (a == other) {
				t.Fatalf("%q and %q: %q and %q", a, other, subjects.Encode(a), subjects.Encode(other))
			}
		}
	})
}

func TestEncodeHasNoCollisionsInShortNames(t *testing.T) {
	t.Parallel()
	// Every string of up to three of these bytes, after each prefix that means something.
	alphabet := []string{"a", "e", "h", "-", "_", "0", "2", "F", ".", "\x00", "\xff"}
	seen := map[string]string{}
	for _, prefix := range []string{"", "e--", "h--", "d--", "_", "e-", "e--_2"} {
		for _, name := range words(alphabet, 3) {
			foreign := prefix + name
			id := subjects.Encode(foreign)
			if before, found := seen[id]; found && before != foreign {
				t.Fatalf("%q and %q are both %q", before, foreign, id)
			}
			seen[id] = foreign
			checkEncoding(t, foreign)
		}
	}
}

func words(alphabet []string, n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, w := range last {
			for _, c := range alphabet {
				next = append(next, w+c)
			}
		}
		all, last = append(all, next...), next
	}

	return all
}

func TestEncodeKeepsPlainIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "alice", "x-ray", "e-", "e-mail", "ab--c", "E--", "9--", "a_b", "-", strings.Repeat("x", 64)} {
		if got := subjects.Encode(id); got != id {
			t.Errorf("Encode(%q) = %q", id, got)
		}
	}
}

// TestEncodeAtTheEdge walks over the lengths at which one form ends and the next begins.
func TestEncodeAtTheEdge(t *testing.T) {
	t.Parallel()
	for n := range 3 * subjects.MaxID {
		for _, unit := range []string{"x", ".", "_", "e--", "é"} {
			for _, before := range []string{"", ".", "..", "_a"} {
				foreign := before + strings.Repeat(unit, n)
				checkEncoding(t, foreign)
				form := subjects.Encode(foreign)
				if escaped := escapedLen(foreign); escaped <= subjects.MaxID && strings.HasPrefix(form, "h--") {
					t.Errorf("%q could be read in %d bytes but is %q", foreign, escaped, form)
				}
			}
		}
	}
}

func escapedLen(s string) int {
	n := len("e--") + len(s)
	for _, b := range []byte(s) {
		if b != '-' && (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			n += 2
		}
	}

	return n
}

func TestDeriveTellsListsApart(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(foreignIDs(), rapid.SampledFrom([]string{"", "a", "aa", "\x00", "\x00\x00\x00\x00\x00\x00\x00\x01"}))
	lists := rapid.SliceOfN(part, 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := lists.Draw(t, "a"), lists.Draw(t, "b")
		joined := []string{strings.Join(a, "")}
		for _, other := range [][]string{b, joined, append(slices.Clone(a), ""), append([]string{""}, a...)} {
			x, y := subjects.Derive(a[0], a[1:]...), subjects.Derive(other[0], other[1:]...)
			if !subjects.ValidID(x) || subjects.Reserved(x) {
				t.Fatalf("Derive(%q) = %q", a, x)
			}
			if (x == y) != slices.Equal(a, other) {
				t.Fatalf("%q and %q: %q and %q", a, other, x, y)
			}
		}
	})
}

func TestDeriveIsNeverEncode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		derived := subjects.Derive(foreignIDs().Draw(t, "root"), foreignIDs().Draw(t, "part"))
		if got := subjects.Encode(derived); got == derived {
			t.Fatalf("a foreign id can be %q", derived)
		}
		if got := subjects.Encode(foreignIDs().Draw(t, "foreign")); strings.HasPrefix(got, "d--") {
			t.Fatalf("a foreign id became %q", got)
		}
	})
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "alice", "a b", "_x", "e--", "h--", "d--x", "z--", "\xff", "日本語", strings.Repeat("x", 65)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, foreign string) {
		checkEncoding(t, foreign)
		if again := subjects.Encode(foreign); again != subjects.Encode(foreign) {
			t.Fatalf("Encode(%q) changes", foreign)
		}
	})
}
