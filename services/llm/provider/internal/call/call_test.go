package call

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRetryAfter(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	for _, c := range []struct {
		millis, value string
		want          time.Duration
	}{
		{"", "", 0},
		{"", "7", 7 * time.Second},
		{"", "0.25", 250 * time.Millisecond},
		{"", "0", 0},
		{"1500", "7", 1500 * time.Millisecond},
		{"soon", "7", 7 * time.Second},
		{"", "Sun, 01 Mar 2026 12:00:30 GMT", 30 * time.Second},
		{"", "Sunday, 01-Mar-26 12:00:30 GMT", 30 * time.Second},
		{"", "Sun, 01 Mar 2026 11:00:00 GMT", 0},
		{"", "Sun, 01 Mar 2099 11:00:00 GMT", 24 * time.Hour},
		{"", "-5", 0},
		{"", "NaN", 0},
		{"", "Inf", 24 * time.Hour},
		{"", "1e300", 24 * time.Hour},
		{"", "tomorrow", 0},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.value)
		h.Set("Retry-After-Ms", c.millis)

		if got := RetryAfter(h, now); got != c.want {
			t.Errorf("%q %q: got %v, want %v", c.millis, c.value, got, c.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "2")
	f.Add("", "Sun, 01 Mar 2026 12:00:30 GMT")
	f.Add("-0", "1e999")

	f.Fuzz(func(t *testing.T, millis, value string) {
		h := http.Header{"Retry-After-Ms": {millis}, "Retry-After": {value}}
		if got := RetryAfter(h, time.Unix(0, 0)); got < 0 || got > 24*time.Hour {
			t.Errorf("%q %q: got %v", millis, value, got)
		}
	})
}

func FuzzMessagesAreOneShortCleanLine(f *testing.F) {
	target := Target{Redact: Redactor("sk-canary")}

	f.Add("two\nlines with sk-canary")
	f.Add(strings.Repeat("ä€🪵", 100))
	f.Add("\xff\xfe\x00\u202e")

	f.Fuzz(func(t *testing.T, message string) {
		got := target.clean(message)
		if strings.Contains(got, "sk-canary") || len(got) > maxMessage+len("…") || !utf8.ValidString(got) ||
			strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q became %q", message, got)
		}
	})
}
