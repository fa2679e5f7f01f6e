package terminal_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/output/terminal"
)

// Events of one answer; play numbers the chunks.
type step struct {
	say  string
	back int // supersede the last so many chunks; -1 all
	end  bus.State
	why  string
	open bool
}

func opened() step            { return step{open: true} }
func say(s string) step       { return step{say: s} }
func back(n int) step         { return step{back: n} }
func done() step              { return step{end: bus.Completed} }
func failed(why string) step  { return step{end: bus.Failed, why: why} }
func cancelled(w string) step { return step{end: bus.Cancelled, why: w} }

// play feeds steps to a renderer and returns what it wrote.
func play(t testing.TB, cfg terminal.Config, kind bus.DataType, steps ...step) (out, notices string) {
	t.Helper()

	var printed, told strings.Builder

	cfg.Out, cfg.Notices = &printed, &told
	r := terminal.NewRenderer(cfg)
	index := uint64(0)

	for _, s := range steps {
		e := stream.SessionEvent{Info: stream.Info{Stream: "a", Type: kind}}

		switch {
		case s.open:
			index = 0
			e.Event.Kind = stream.KindOpened
		case s.back != 0:
			if s.back < 0 || uint64(s.back) > index {
				s.back = int(index)
			}

			index -= uint64(s.back)
			e.Event.Kind, e.Event.From = stream.KindSuperseded, index
		case s.end != bus.Active:
			e.Event.Kind, e.Event.End = stream.KindEnd, stream.End{State: s.end, Reason: s.why}
		default:
			e.Event.Kind, e.Event.Chunk = stream.KindChunk, stream.Chunk{Index: index, Data: []byte(s.say), Type: kind}
			index++
		}

		if err := r.Handle(e); err != nil {
			t.Fatal(err)
		}
	}

	return printed.String(), told.String()
}

func TestWhatIsPrinted(t *testing.T) {
	t.Parallel()

	const again = "— answer restarted —\n"

	for name, tc := range map[string]struct {
		kind                  bus.DataType
		steps                 []step
		pipe, screen, notices string
	}{
		"one answer": {
			steps: []step{opened(), say("Hel"), say("lo"), done()},
			pipe:  "Hello\n", screen: "Hello\n",
		},
		"two answers": {
			steps: []step{opened(), say("1"), done(), opened(), say("2"), done()},
			pipe:  "1\n2\n", screen: "1\n2\n",
		},
		"an answer that ends its line": {
			steps: []step{opened(), say("a\nb\n"), done()},
			pipe:  "a\nb\n\n", screen: "a\nb\n",
		},
		"an empty answer": {
			steps: []step{opened(), done()},
			pipe:  "\n", screen: "",
		},
		"an answer under way": {
			steps: []step{opened(), say("so "), say("far")},
			pipe:  "", screen: "so far",
		},
		"a failed answer": {
			steps: []step{opened(), say("part"), failed("quota\nexceeded\x1b[2J")},
			pipe:  "part\n", screen: "part\n", notices: "the answer failed: quota exceeded␛[2J\n",
		},
		"a failure without text": {
			steps: []step{opened(), failed("")},
			pipe:  "", screen: "", notices: "the answer failed\n",
		},
		"a cancelled answer": {
			steps: []step{opened(), say("part"), cancelled("by the user")},
			pipe:  "part\n", screen: "part\n", notices: "the answer was cancelled: by the user\n",
		},
		"a restart": {
			steps: []step{opened(), say("old "), say("text"), back(-1), say("new"), done()},
			pipe:  "new\n", screen: "old text\n" + again + "new\n",
		},
		"a restart at the start of a line": {
			steps: []step{opened(), say("old\n"), back(-1), say("new"), done()},
			pipe:  "new\n", screen: "old\n" + again + "new\n",
		},
		"a restart before anything was said": {
			steps: []step{opened(), back(-1), say("new"), done()},
			pipe:  "new\n", screen: "new\n",
		},
		"a resumption": {
			steps: []step{opened(), say("keep "), say("drop"), back(1), say("this"), done()},
			pipe:  "keep this\n", screen: "keep drop\n" + again + "keep this\n",
		},
		"a restart within a character": {
			steps: []step{opened(), say("\xe6\xbc"), back(-1), say("\xe6\xbc\xa2"), done()},
			pipe:  "漢\n", screen: again + "漢\n",
		},
		"two restarts": {
			steps: []step{opened(), say("1"), back(-1), say("2"), back(-1), say("3"), done()},
			pipe:  "3\n", screen: "1\n" + again + "2\n" + again + "3\n",
		},
		"characters over two chunks": {
			steps: []step{opened(), say("\xe6"), say("\xbc\xa2"), say("\xf0\x9f"), done()},
			pipe:  "漢\xf0\x9f\n", screen: "漢\uFFFD\n",
		},
		"control characters": {
			steps: []step{opened(), say("a\x1b[2Jb\r\nc\td\x07\x7f\u009b1m\x9b"), done()},
			pipe:  "a\x1b[2Jb\r\nc\td\x07\x7f\u009b1m\x9b\n", screen: "a␛[2Jb\nc\td␇␡\uFFFD1m\uFFFD\n",
		},
		"an image": {
			kind:  bus.Image,
			steps: []step{opened(), say("\x89PNG"), say("\x00\x01"), done()},
			pipe:  "\x89PNG\x00\x01", screen: "[image, 6 bytes]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if tc.kind == "" {
				tc.kind = bus.Text
			}

			pipe, notices := play(t, terminal.Config{}, tc.kind, tc.steps...)
			if diff := cmp.Diff([]string{tc.pipe, tc.notices}, []string{pipe, notices}); diff != "" {
				t.Errorf("pipe and notices (-want +got):\n%s", diff)
			}

			screen, notices := play(t, terminal.Config{Screen: true, Plain: true}, tc.kind, tc.steps...)
			if diff := cmp.Diff([]string{tc.screen, tc.notices}, []string{screen, notices}); diff != "" {
				t.Errorf("screen and notices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRestartLineIsDimUnlessPlain(t *testing.T) {
	t.Parallel()

	screen, _ := play(t, terminal.Config{Screen: true}, bus.Text, opened(), say("x"), back(-1))
	if want := "x\n\x1b[2m— answer restarted —\x1b[0m\n"; screen != want {
		t.Errorf("screen = %q, want %q", screen, want)
	}
}

// However often attempts are replaced, the pipe holds the valid text once, and the screen shows it below the last line
// that announces a restart.
func TestSupersededTextIsPrintedOnceOrReplaced(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var (
			valid []string
			steps = []step{opened()}
		)

		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			if rapid.IntRange(0, 4).Draw(rt, "kind") == 0 {
				n := rapid.IntRange(0, len(valid)).Draw(rt, "superseded")
				if n == 0 {
					continue
				}

				valid = valid[:len(valid)-n]
				steps = append(steps, back(n))
			} else {
				chunk := rapid.SampledFrom([]string{"a", "b\n", "漢", "\xe6", "\xbc", "\xa2", " "}).Draw(rt, "chunk")
				valid = append(valid, chunk)
				steps = append(steps, say(chunk))
			}
		}

		steps = append(steps, done())
		want := strings.Join(valid, "")

		if pipe, _ := play(t, terminal.Config{}, bus.Text, steps...); pipe != want+"\n" {
			rt.Errorf("pipe = %q, want %q", pipe, want)
		}

		screen, _ := play(t, terminal.Config{Screen: true, Plain: true}, bus.Text, steps...)
		if i := strings.LastIndex(screen, "restarted —\n"); i >= 0 {
			screen = screen[i+len("restarted —\n"):]
		}

		fresh, _ := play(t, terminal.Config{Screen: true, Plain: true}, bus.Text, opened(), say(want), done())
		if screen != fresh {
			rt.Errorf("screen ends with %q, want %q", screen, fresh)
		}
	})
}

func TestAReaderThatBeginsWithinAnAnswerIsToldOfARestart(t *testing.T) {
	t.Parallel()

	screen, _ := play(t, terminal.Config{Screen: true, Plain: true}, bus.Text, back(-1), say("new"), done())
	if want := "\n— answer restarted —\nnew\n"; screen != want {
		t.Errorf("screen = %q, want %q", screen, want)
	}
}

// FuzzScreen: nothing that a component says reaches a terminal as a control sequence, however it is cut.
func FuzzScreen(f *testing.F) {
	f.Add([]byte("a\x1b]0;title\x07b"), 3)
	f.Add([]byte("\xc2\x9b2J\x9b2J\u202e"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		cut = min(max(cut, 0), len(text))
		whole, _ := play(t, terminal.Config{Screen: true}, bus.Text, opened(), say(string(text)), done())

		parts, _ := play(t, terminal.Config{Screen: true}, bus.Text,
			opened(), say(string(text[:cut])), say(string(text[cut:])), done())
		if whole != parts {
			t.Errorf("cut at %d: %q, whole %q", cut, parts, whole)
		}

		for _, r := range whole {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r <= 0x9f) {
				t.Errorf("%q holds the control character %q", whole, r)
			}
		}
	})
}

func TestAFailedWriteEndsTheRenderer(t *testing.T) {
	t.Parallel()

	r := terminal.NewRenderer(terminal.Config{Out: brokenPipe{}, Notices: io.Discard, Screen: true})

	err := r.Handle(stream.SessionEvent{Event: stream.Event{
		Kind: stream.KindChunk, Chunk: stream.Chunk{Data: []byte("x")},
	}})
	if !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error = %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }
