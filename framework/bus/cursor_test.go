package bus_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func cursors() *rapid.Generator[bus.Cursor] {
	return rapid.Custom(func(t *rapid.T) bus.Cursor {
		return bus.Cursor{
			Attempt: rapid.Uint32Range(0, bus.MaxAttempt).Draw(t, "attempt"),
			Index:   rapid.Uint64Range(0, bus.MaxIndex).Draw(t, "index"),
		}
	})
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		c := cursors().Draw(t, "cursor")

		if got := bus.CursorFromNumber(c.Number()); got != c {
			t.Errorf("number %d is %+v, want %+v", c.Number(), got, c)
		}

		if got, err := bus.ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("text %s is %+v, %v, want %+v", c, got, err, c)
		}
	})
}

func TestEveryNumberIsACursor(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "number")
		if c := bus.CursorFromNumber(n); c.Number() != n || c.Attempt > bus.MaxAttempt || c.Index > bus.MaxIndex {
			t.Errorf("number %d is %+v, whose number is %d", n, c, c.Number())
		}
	})
}

func TestCursorOrder(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		c, d := cursors().Draw(t, "one"), cursors().Draw(t, "other")
		if rapid.Bool().Draw(t, "same attempt") {
			d.Attempt = c.Attempt
		}

		want := cmp.Or(cmp.Compare(c.Attempt, d.Attempt), cmp.Compare(c.Index, d.Index))
		if got := strings.Compare(c.String(), d.String()); got != want {
			t.Errorf("text order of %s and %s is %d, want %d", c, d, got, want)
		}

		if got := cmp.Compare(c.Number(), d.Number()); got != want {
			t.Errorf("order of the numbers of %+v and %+v is %d, want %d", c, d, got, want)
		}

		if c.Before(d) != (want < 0) {
			t.Errorf("%+v before %+v is %v", c, d, c.Before(d))
		}
	})
}

func TestCursorText(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bus.Cursor{
		"0000000000000000": {},
		"0000000000000001": {Index: 1},
		"000003ffffffffff": {Index: bus.MaxIndex},
		"0000040000000000": {Attempt: 1},
		"ffffffffffffffff": {Attempt: bus.MaxAttempt, Index: bus.MaxIndex},
	} {
		if got := want.String(); got != text {
			t.Errorf("text of %+v is %s, want %s", want, got, text)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{
		"", "0", "0000000000000000", "000004000000002A", "000004000000002a", "+000000000000001", "-000000000000001",
		"0x00000000000001", "0000_00000000001", " 000000000000001", "00000000000000010", "gggggggggggggggg", "日本語日本",
		"000000000000000\n", strings.Repeat("0", 5000),
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		c, err := bus.ParseCursor(s)

		switch {
		case err != nil && !errors.Is(err, bus.ErrInvalid):
			t.Errorf("error of %q is %v", s, err)
		case err != nil && (c != bus.Cursor{} || len(err.Error()) > 400):
			t.Errorf("%q gives %+v and %d bytes of error", s, c, len(err.Error()))
		case err == nil && c.String() != s:
			t.Errorf("%q is read as %s", s, c)
		}
	})
}
