package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/services/input/terminal"
)

const (
	up     = "\x1b[A"
	down   = "\x1b[B"
	left   = "\x1b[D"
	ctrlA  = "\x01"
	ctrlC  = "\x03"
	ctrlD  = "\x04"
	ctrlU  = "\x15"
	rubout = "\x7f"
)

func paste(s string) string { return "\x1b[200~" + s + "\x1b[201~" }

// typed returns the prompts that keys produce and what the screen was sent.
func typed(ctx context.Context, keys io.Reader) ([]string, string, error) {
	var screen bytes.Buffer

	prompts, err := all(ctx, terminal.NewEditor(terminal.EditorConfig{In: keys, Out: &screen}))

	return prompts, screen.String(), err
}

func TestEditorReadsWhatIsTyped(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		keys string
		want []string
	}{
		"ctrl-D":               {ctrlD, nil},
		"ctrl-C":               {"half a line" + ctrlC, nil},
		"exit":                 {"one\rexit\rtwo\r", []string{"one"}},
		"quit":                 {"one\r  quit \rtwo\r", []string{"one"}},
		"exit in a sentence":   {"exit now\r", []string{"exit now"}},
		"end of input":         {"one\r", []string{"one"}},
		"editing":              {"wrld" + left + left + left + "o" + ctrlA + "hello " + "\r", []string{"hello world"}},
		"rubout":               {"abc" + rubout + "d\r", []string{"abd"}},
		"start again":          {"abc" + ctrlU + "d\r", []string{"d"}},
		"wide characters":      {"漢字 🜁 é\r", []string{"漢字 🜁 é"}},
		"history":              {"one\rtwo\r" + up + up + "!\r", []string{"one", "two", "one!"}},
		"history and back":     {"one\rdraft" + up + down + "!\r", []string{"one", "draft!"}},
		"no blanks in history": {"one\r  \r" + up + "\r", []string{"one", "one"}},
		"no repeats":           {"a\rb\rb\r" + up + up + "\r", []string{"a", "b", "b", "a"}},
		"pasted lines":         {paste("a\rb\r\nc\nd") + "\r", []string{"a\nb\nc\nd"}},
		"pasted line ends":     {paste("a\n\n\n") + "\r", []string{"a\n\n\n"}},
		"paste between typed":  {"see: " + paste("x\ty\nz") + " ok\r", []string{"see: x\ty\nz ok"}},
		"two pastes":           {paste("a\n") + paste("b") + "\r", []string{"a\nb"}},
		"paste in history":     {paste("a\nb") + "\r" + up + "c\r", []string{"a\nb", "a\nbc"}},
		"controls in a paste":  {paste("a\x1b[31mb\x03\x04\x1b\x1b[20c\x00d") + "\r", []string{"a[31mb[20cd"}},
		"a paste above 4096":   {paste(strings.Repeat("x\n", 4000)) + "\r", []string{strings.Repeat("x\n", 4000)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			for _, keys := range []io.Reader{strings.NewReader(tc.keys), iotest.OneByteReader(strings.NewReader(tc.keys))} {
				got, _, err := typed(t.Context(), keys)
				if err != nil {
					t.Fatal(err)
				}

				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("prompts (-want +got):\n%.1000s", diff)
				}
			}
		})
	}
}

func TestABlankLineIsAnsweredByAHint(t *testing.T) {
	t.Parallel()

	got, screen, err := typed(t.Context(), strings.NewReader("\r \rone\r"))
	if err != nil || len(got) != 1 {
		t.Fatalf("prompts %q, error %v", got, err)
	}

	if n := strings.Count(screen, "exit, quit or ctrl-D ends.\r\n"); n != 2 {
		t.Errorf("%d hints, want 2:\n%q", n, screen)
	}
}

func TestAPasteShowsItsLineBreaksAndNoInternalMarks(t *testing.T) {
	t.Parallel()

	_, screen, err := typed(t.Context(), strings.NewReader(paste("a\nb\tc")+"\r"))
	if err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(screen, "a↵b c") || strings.ContainsAny(screen, "\uFDD0\uFDD1") {
		t.Errorf("screen = %q", screen)
	}
}

func TestBracketedPasteIsOnlyOnWhileALineIsRead(t *testing.T) {
	t.Parallel()

	var log []string

	editor := terminal.NewEditor(terminal.EditorConfig{
		In:   strings.NewReader("one\r"),
		Out:  writeFunc(func(s string) { log = append(log, modes(s)...) }),
		Raw:  func() (func(), error) { log = append(log, "raw"); return func() { log = append(log, "restored") }, nil },
		Size: func() (int, int, error) { return 0, 0, nil },
	})

	if _, err := editor.Next(t.Context()); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"raw", "paste on", "paste off", "restored"}, log); diff != "" {
		t.Errorf("terminal (-want +got):\n%s", diff)
	}
}

func TestTheTerminalIsPutBackWhenTheContextEnds(t *testing.T) {
	t.Parallel()

	in, keys := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	restored := false

	editor := terminal.NewEditor(terminal.EditorConfig{
		In:  readFunc(func(p []byte) (int, error) { stop(); return in.Read(p) }),
		Out: io.Discard,
		Raw: func() (func(), error) { return func() { restored = true }, nil },
	})

	if _, err := editor.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}

	if !restored {
		t.Error("the terminal was left raw")
	}

	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareTerminalFails(t *testing.T) {
	t.Parallel()

	bad := errors.New("not a terminal")

	_, err := terminal.NewEditor(terminal.EditorConfig{
		In: strings.NewReader("a\r"), Out: io.Discard,
		Raw: func() (func(), error) { return nil, bad },
	}).Next(t.Context())
	if !errors.Is(err, bad) {
		t.Errorf("error = %v", err)
	}
}

func TestAnyPastedTextArrives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab漢🜁\n\r\t[20~1"))).Draw(t, "text")
		step := rapid.IntRange(1, 9).Draw(t, "bytes per read")

		want := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		if strings.TrimSpace(want) == "" {
			t.Skip("a blank prompt is not asked")
		}

		got, _, err := typed(t.Context(), &steps{in: paste(text) + "\r", step: step})
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("prompt (-want +got):\n%s", diff)
		}
	})
}

// FuzzKeys: no input makes the editor panic, hang or yield a blank prompt.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("one\r" + up + paste("a\nb") + "\r" + ctrlD))
	f.Add([]byte("\x1b[200~\x1b[20\x1b[201~\r"))
	f.Add([]byte("a\x1b[" + strings.Repeat("0", 300) + "b\r")) // longer than the line editor's buffer
	f.Fuzz(func(t *testing.T, keys []byte) {
		prompts, _, err := typed(t.Context(), bytes.NewReader(keys))
		if err != nil {
			t.Fatal(err)
		}

		for _, prompt := range prompts {
			if strings.TrimSpace(prompt) == "" || strings.ContainsRune(prompt, '\x1b') {
				t.Errorf("prompt %q", prompt)
			}
		}
	})
}

// steps yields a few bytes per read.
type steps struct {
	in   string
	step int
}

func (s *steps) Read(p []byte) (int, error) {
	if s.in == "" {
		return 0, io.EOF
	}

	n := copy(p, s.in[:min(s.step, len(s.in))])
	s.in = s.in[n:]

	return n, nil
}

type (
	readFunc  func(p []byte) (int, error)
	writeFunc func(s string)
)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func (f writeFunc) Write(p []byte) (int, error) {
	f(string(p))

	return len(p), nil
}

// modes names the switches of bracketed paste in what was written.
func modes(s string) []string {
	switch s {
	case "\x1b[?2004h":
		return []string{"paste on"}
	case "\x1b[?2004l":
		return []string{"paste off"}
	default:
		return nil
	}
}
