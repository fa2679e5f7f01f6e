package envelope_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/envelope"
)

func TestMatch(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		pattern, event string
		want           bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "A", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", true},
		{"a.*", "a", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{"*.b", "a.b", true},
		{"*.b", "a.a.b", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.b.c", false},
		{"*", "a", true},
		{"*", "a.b", true},
		{">", "a.b.c", true},
		{">", "", false},
	} {
		if got := envelope.Match(test.pattern, test.event); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.event, got, test.want)
		}
	}
}

// TestMatchIsWhatItSays compares with a regular expression made of the words.
func TestMatchIsWhatItSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*"}), 1, 4).Draw(t, "pattern")
		if rapid.Bool().Draw(t, "open") {
			words = append(words, ">")
		}

		pattern := strings.Join(words, ".")
		if err := envelope.CheckPattern(pattern); err != nil {
			t.Fatal(err)
		}

		for i, word := range words {
			switch {
			case i == len(words)-1 && word != "a" && word != "b":
				words[i] = `.+`
			case word == "*":
				words[i] = `[^.]+`
			}
		}

		event := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 5).Draw(t, "event"), ".")
		want := regexp.MustCompile(`^` + strings.Join(words, `\.`) + `$`).MatchString(event)

		if got := envelope.Match(pattern, event); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, event, got, want)
		}
	})
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()

	for _, bad := range []string{"", ".", "a.", "a..b", "a*", ">.a", "a.>b", "a b", strings.Repeat("a", 201)} {
		if envelope.CheckPattern(bad) == nil {
			t.Errorf("%q is a pattern", bad)
		}
	}
}
