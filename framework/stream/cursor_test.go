package stream_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func drawCursor(t *rapid.T, label string) stream.SessionCursor {
	return stream.SessionCursor{
		Position: rapid.Uint64().Draw(t, label),
		Cursor: bus.Cursor{
			Attempt: rapid.Uint32Max(bus.MaxAttempt).Draw(t, label), Index: rapid.Uint64Max(bus.MaxIndex).Draw(t, label),
		},
	}
}

func TestSessionCursorsReadAndSortAsText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawCursor(t, "a"), drawCursor(t, "b")
		if got, err := stream.ParseSessionCursor(a.String()); err != nil || got != a {
			t.Fatalf("%v became %v, %v", a, got, err)
		}
		before := a.Position < b.Position || a.Position == b.Position && a.Cursor.Before(b.Cursor)
		if (a.String() < b.String()) != before {
			t.Fatalf("%v and %v sort differently as text", a, b)
		}
	})
}

func FuzzParseSessionCursor(f *testing.F) {
	f.Add("")
	f.Add("0000000000000001-0000040000000005")
	f.Add("1-5")
	f.Add("0000000000000001-000004000000000G")
	f.Add("0000000000000001-0000040000000005-")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := stream.ParseSessionCursor(text)
		switch {
		case err != nil && !errors.Is(err, bus.ErrInvalid):
			t.Errorf("%q: %v", text, err)
		case err == nil && text != "" && c.String() != text:
			t.Errorf("%q became %v", text, c)
		}
	})
}
