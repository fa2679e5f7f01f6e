package bustest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func hostileCases() []promise {
	return []promise{
		{name: "hostile/ids", run: hostileIDs},
		{name: "hostile/keys", run: hostileKeys},
		{name: "hostile/prefixes", run: hostilePrefixes},
	}
}

// badIDs can't be part of a name: to a broker they are wildcards, separators, line ends or too much.
func badIDs() []string {
	return []string{
		"", "*", ">", ".", "..", "a.b", "a.", ".a", "a*", "a.>", " ", "a b", " a", "a ", "a\tb", "\r\n", "a\r\nb", "\x00", "a\x00",
		"naïve", "日本語", "🎉", "\xff", "a/b", "a:b", "{a}", "$JS", "a=b", "a%b", "a'b", "a\"b", "a\\b", "[a]", "a?", "a,b", "\x7f",
		strings.Repeat("a", 65), strings.Repeat("b", 5<<10),
	}
}

func hostileIDs(t *testing.T, s *suite) {
	b := s.open(t)
	ctx := within(t)

	for _, bad := range badIDs() {
		for name, call := range idCalls(b) {
			wantErr(t, fmt.Sprintf("%s, session %.20q", name, bad), call(ctx, bad, "good"), bus.ErrInvalid)
			wantErr(t, fmt.Sprintf("%s, stream or component %.20q", name, bad), call(ctx, "good", bad), bus.ErrInvalid)
		}

		wantErr(t, fmt.Sprintf("work, %.20q", bad), workErr(ctx, b, bad), bus.ErrInvalid)
		wantErr(t, fmt.Sprintf("letter, %.20q", bad),
			b.Post(ctx, &bus.Letter{ID: bad, Session: "good", Component: "good"}), bus.ErrInvalid)

		last := &bus.Entry{Frame: bus.Frame{ID: bus.StreamID{Session: bad, Stream: "good"}}}
		wantErr(t, fmt.Sprintf("read, %.20q", bad), readErr(ctx, b, last), bus.ErrInvalid)
	}
}

func hostileKeys(t *testing.T, s *suite) {
	b := s.open(t)
	ctx := within(t)
	keys := []string{"a..b", "a.b.", strings.Repeat("a.", 8) + "a", strings.Repeat("a.", 500) + "a"}

	for _, bad := range badIDs() {
		if bad != "a.b" {
			keys = append(keys, bad, "a."+bad, bad+".a")
		}
	}

	for name, call := range keyCalls(b) {
		for _, bad := range keys {
			wantErr(t, fmt.Sprintf("%s, key %.20q", name, bad), call(ctx, bus.Sessions, bad), bus.ErrInvalid)
		}

		for _, bucket := range []bus.Bucket{"", "*", ">", "a.b", "a b"} {
			wantErr(t, fmt.Sprintf("%s, bucket %q", name, bucket), call(ctx, bucket, "good"), bus.ErrInvalid)
		}
	}
}

func hostilePrefixes(t *testing.T, s *suite) {
	b := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)

	for _, bad := range badIDs() {
		if bad != "" && bad != "a.b" {
			wantErr(t, fmt.Sprintf("watch, %.20q", bad), watchErr(ctx, b, bus.Sessions, bad), bus.ErrInvalid)
		}
	}
}
