package wire_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

func TestLengthsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOf(rapid.IntRange(0, 300)).Draw(t, "lengths")
		size := 0
		for _, n := range lengths {
			size += n
		}
		text := wire.Lengths(lengths)
		if got, ok := wire.ParseLengths(text, size); !ok || !slices.Equal(got, lengths) {
			t.Errorf("%v written as %q came back as %v, %v", lengths, text, got, ok)
		}
		if len(lengths) != 1 {
			if got, ok := wire.ParseLengths(text, size+1); ok {
				t.Errorf("%q fits a body of %d bytes as %v", text, size+1, got)
			}
		}
	})
}

func TestMalformedLengths(t *testing.T) {
	t.Parallel()
	for _, s := range []string{",", "1", "1,", ",1", "1,-1", "+1,2", "01,2", "1,2,", "1, 2", "None", "3,0x1"} {
		if got, ok := wire.ParseLengths(s, 3); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestMetaComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		meta := rapid.MapOfN(rapid.String(), rapid.String(), 1, 5).Draw(t, "meta")
		text := wire.Meta(meta)
		if got, ok := wire.ParseMeta(text); !ok || !maps.Equal(got, meta) {
			t.Errorf("%v written as %q came back as %v, %v", meta, text, got, ok)
		}
	})
	for _, s := range []string{"", "a", "a=%", "%=a", "a=b&"} {
		if got, ok := wire.ParseMeta(s); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestCheckFrame(t *testing.T) {
	t.Parallel()
	good := bus.Frame{Attempt: 1, Lengths: []int{2}, Body: []byte("ab")}
	if err := wire.CheckFrame(&good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*bus.Frame){
		"no attempt":   func(f *bus.Frame) { f.Attempt = 0 },
		"index":        func(f *bus.Frame) { f.First = bus.MaxIndex },
		"short body":   func(f *bus.Frame) { f.Body = f.Body[:1] },
		"negative":     func(f *bus.Frame) { f.Lengths = []int{3, -1} },
		"offset":       func(f *bus.Frame) { f.Offset = -1 },
		"two in parts": func(f *bus.Frame) { f.Lengths, f.More = []int{1, 1}, true },
		"after":        func(f *bus.Frame) { f.After.Index = 1 },
	} {
		f := good
		spoil(&f)
		if err := wire.CheckFrame(&f); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The checksum is that of all texts and the body one after another, whatever is summed up at the same time.
func TestChecksum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		whole := strings.Join(append(slices.Clone(texts), ""), "\x00") + string(body)
		want := crc32.Checksum([]byte(whole), crc32.MakeTable(crc32.Castagnoli))
		got := wire.Checksum(body, func(buf []byte) []byte {
			for _, s := range texts {
				buf = wire.Text(buf, s)
			}

			return buf
		})
		if got != want {
			t.Errorf("%q and %q: %08x, want %08x", texts, body, got, want)
		}
		if text := string(wire.AppendCRC(nil, got)); text != fmt.Sprintf("%08x", want) {
			t.Errorf("%08x is written %s", want, text)
		}
	})
}
