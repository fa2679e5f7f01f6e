package terminal_test

import (
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

// all reads a source to its end.
func all(ctx context.Context, src terminal.Source) ([]string, error) {
	var prompts []string

	for {
		prompt, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return prompts, nil
		}

		if err != nil {
			return prompts, err
		}

		prompts = append(prompts, prompt)
	}
}

func TestEachLineIsAPrompt(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":            {"", nil},
		"only blank lines":   {"\n \t\n\r\n", nil},
		"two lines":          {"first\nsecond\n", []string{"first", "second"}},
		"no end at the end":  {"first\nsecond", []string{"first", "second"}},
		"CRLF":               {"first\r\nsecond\r\n", []string{"first", "second"}},
		"CR inside":          {"a\rb\n", []string{"a\rb"}},
		"one CR is removed":  {"a\r\r\n", []string{"a\r"}},
		"blank between":      {"a\n\n\nb", []string{"a", "b"}},
		"spaces are kept":    {"  a  \n", []string{"  a  "}},
		"not valid UTF-8":    {"\xff\xfe\x00\n\xc3", []string{"\xff\xfe\x00", "\xc3"}},
		"exit is a prompt":   {"exit\nquit\n", []string{"exit", "quit"}},
		"longer than buffer": {strings.Repeat("é", 100_000) + "\n", []string{strings.Repeat("é", 100_000)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := all(t.Context(), terminal.NewLines(strings.NewReader(tc.in), 0))
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("prompts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinesKeepEveryByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOfN(rapid.RuneFrom([]rune("aé漢🜁\t\x00\x1b ")), 1, -1, 200).
			Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
		want := rapid.SliceOfN(line, 1, 10).Draw(t, "lines")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")

		got, err := all(t.Context(), terminal.NewLines(iotest.HalfReader(strings.NewReader(strings.Join(want, end))), 0))
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("prompts (-want +got):\n%s", diff)
		}
	})
}

func TestALineAboveTheLimitIsRefusedWithItsNumber(t *testing.T) {
	t.Parallel()

	const limit = 100_000

	fits := strings.Repeat("x", limit)

	got, err := all(t.Context(), terminal.NewLines(strings.NewReader(fits+"\r\n"+fits+"y\nz\n"), limit))

	var long *terminal.TooLongError
	if !errors.As(err, &long) || long.Line != 2 || long.Limit != limit {
		t.Errorf("error = %v, want line 2 and limit %d", err, limit)
	}

	if diff := cmp.Diff([]string{fits}, got); diff != "" {
		t.Errorf("prompts before it differ:\n%.300s", diff)
	}
}

func TestAFailedReadIsReportedAfterTheLinesBeforeIt(t *testing.T) {
	t.Parallel()

	in := io.MultiReader(strings.NewReader("first\nsec"), iotest.ErrReader(io.ErrUnexpectedEOF))

	got, err := all(t.Context(), terminal.NewLines(in, 0))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error = %v", err)
	}

	if diff := cmp.Diff([]string{"first", "sec"}, got); diff != "" {
		t.Errorf("prompts (-want +got):\n%s", diff)
	}
}
