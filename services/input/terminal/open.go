package terminal

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// Open returns the source of prompts that fits in: an [Editor] when it is a terminal, which draws on the first of outs
// that is a terminal too, and else [Lines] of up to [DefaultMaxPrompt] bytes. Give it standard input, output and error.
func Open(in *os.File, outs ...*os.File) Source {
	if !IsTerminal(in) {
		return NewLines(in, 0)
	}

	for _, out := range outs {
		if IsTerminal(out) {
			return onTerminal(in, out)
		}
	}

	return onTerminal(in, in) // a terminal is open in both directions
}

// IsTerminal reports whether a person sits at the other end of f.
func IsTerminal(f *os.File) bool { return term.IsTerminal(descriptor(f)) }

func onTerminal(in, out *os.File) *Editor {
	return NewEditor(EditorConfig{
		In:   in,
		Out:  out,
		Raw:  func() (func(), error) { return raw(in) },
		Size: func() (int, int, error) { return size(out) },
	})
}

func raw(f *os.File) (func(), error) {
	before, err := term.MakeRaw(descriptor(f))
	if err != nil {
		return nil, fmt.Errorf("switch line editing on: %w", err)
	}

	return func() {
		_ = term.Restore(descriptor(f), before) // the terminal is gone: nobody is left to tell
	}, nil
}

func size(f *os.File) (width, height int, err error) {
	width, height, err = term.GetSize(descriptor(f))
	if err != nil {
		return 0, 0, fmt.Errorf("terminal size: %w", err)
	}

	return width, height, nil
}

func descriptor(f *os.File) int {
	return int(f.Fd())
}
