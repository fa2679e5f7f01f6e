package subjects_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"a": true, "Z": true, "0": true, "-": true, "_": true, "az-AZ_09": true, subjects.Timeline: true,
		strings.Repeat("x", subjects.MaxID): true, strings.Repeat("x", subjects.MaxID+1): false,
		"": false, " ": false, "a b": false, "a.b": false, "*": false, "a*": false, ">": false, "a\x00": false,
		"a\n": false, "é": false, "\xff": false, "a/b": false, "$JS": false, "@": false, "`": false, "[": false,
		"{": false, "/": false, ":": false,
	} {
		if got := subjects.ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
		if err := subjects.CheckID("session", id); (err == nil) != want {
			t.Errorf("CheckID(%q) = %v", id, err)
		}
	}
}

func TestCheckIDSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const use = "; use 1 to 64 letters A-Z or a-z, digits, '-' and '_'"
	for id, want := range map[string]string{
		"":                      `session "" is no id: it is empty` + use,
		"a b":                   `session "a b" is no id: the character at byte 2 can't be in one` + use,
		"a\nb\x1b[31m":          `session "a\nb\x1b[31m" is no id: the character at byte 2 can't be in one` + use,
		strings.Repeat("x", 65): `session "` + strings.Repeat("x", 40) + `"… is no id: it has 65 bytes` + use,
	} {
		err := subjects.CheckID("session", id)
		if err == nil || err.Error() != want {
			t.Errorf("CheckID(%q):\n got %v\nwant %s", id, err, want)
		}
		var invalid *subjects.InvalidIDError
		if !errors.Is(err, subjects.ErrInvalid) || !errors.As(err, &invalid) || invalid.ID != id || invalid.What != "session" {
			t.Errorf("CheckID(%q) returned %#v", id, err)
		}
	}
}

func TestErrorsStayOnOneLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := foreignIDs().Draw(t, "id")
		_, parseErr := subjects.Parse(id)
		_, newErr := subjects.New(id, 0)
		for _, err := range []error{subjects.CheckID("stream", id), parseErr, newErr} {
			if err == nil {
				continue
			}
			if s := err.Error(); strings.ContainsAny(s, "\n\r\x1b") || !utf8.ValidString(s) || len(s) > 320 {
				t.Fatalf("message %q", s)
			}
		}
	})
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{subjects.Timeline: true, "_": true, "": false, "a_": false, "-": false} {
		if got := subjects.Reserved(id); got != want {
			t.Errorf("Reserved(%q) = %v", id, got)
		}
	}
}

// foreignIDs are names as other systems have them, those that come close to made ids included.
func foreignIDs() *rapid.Generator[string] {
	bytes := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 2*subjects.MaxID), func(b []byte) string { return string(b) })

	return rapid.OneOf(
		bytes,
		rapid.String(),
		rapid.StringMatching(`[a-zA-Z0-9_-]{0,70}`),
		rapid.StringMatching(`_[a-z]{0,20}`),
		rapid.StringMatching(`[a-z]--[a-zA-Z0-9_-]{0,61}`),
		rapid.StringMatching(`h--[a-zA-Z0-9_-]{43}`),
		rapid.Map(bytes, subjects.Encode),
		rapid.Map(bytes, func(s string) string { return subjects.Encode(subjects.Encode(s)) }),
		rapid.Map(bytes, func(s string) string { return subjects.Derive(s, s) }),
		rapid.SampledFrom([]string{"", ".", "*", ">", "ww", "e--", "h--", "d--", subjects.Timeline, strings.Repeat("ä", 5000)}),
	)
}

// ids are valid ids, of the greatest length too.
func ids() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9_-]{1,64}`),
		rapid.StringMatching(`[a-zA-Z0-9_-]{64}`),
		rapid.Map(foreignIDs(), subjects.Encode),
		rapid.Just(subjects.Timeline),
	)
}
