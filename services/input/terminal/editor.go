package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
)

const hint = "Type a prompt and press Enter. exit, quit or ctrl-D ends.\n"

// EditorConfig says how a person's prompts are read. In and Out are needed; the other zero values work.
type EditorConfig struct {
	// In is where keys come from and Out where the line is drawn: the two directions of one terminal.
	In  io.Reader
	Out io.Writer
	// Sign is shown before the line. Defaults to "> ".
	Sign string
	// Raw prepares the terminal before a line is read and returns how to put it back. It is undone while an answer is
	// awaited, so that ctrl-C interrupts. Defaults to doing nothing, for a terminal that is raw already.
	Raw func() (restore func(), err error)
	// Size returns the terminal's width and height in characters. Defaults to 80 × 24.
	Size func() (width, height int, err error)
}

// Editor is a [Source] that reads prompts from a terminal, with line editing and a history that lasts as long as the
// Editor. Pasted text of several lines is one prompt. Blank lines are answered by a hint; exit, quit, ctrl-D and
// ctrl-C end the input. It is not safe for concurrent use.
type Editor struct {
	cfg EditorConfig
	tty *term.Terminal
}

// NewEditor returns an Editor on a terminal.
func NewEditor(cfg EditorConfig) *Editor {
	if cfg.Sign == "" {
		cfg.Sign = "> "
	}

	if cfg.Raw == nil {
		cfg.Raw = func() (func(), error) { return func() {}, nil }
	}

	tty := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&pasteReader{in: cfg.In}, screen{cfg.Out}}, cfg.Sign)
	tty.History = &history{}

	return &Editor{cfg: cfg, tty: tty}
}

// Next returns the next prompt. The terminal is back in its usual mode when it returns, also when ctx ends.
func (e *Editor) Next(ctx context.Context) (string, error) {
	restore, err := e.cfg.Raw()
	if err != nil {
		return "", fmt.Errorf("prepare terminal: %w", err)
	}
	defer restore()

	if err := e.resize(); err != nil {
		return "", err
	}

	e.tty.SetBracketedPasteMode(true)
	defer e.tty.SetBracketedPasteMode(false)

	return await(ctx, e.next)
}

// Tell shows a notice on a line of its own, between two prompts.
func (e *Editor) Tell(notice string) error {
	if _, err := fmt.Fprintf(e.cfg.Out, "%s\r\n", printable(notice)); err != nil {
		return fmt.Errorf("write notice: %w", err)
	}

	return nil
}

func (e *Editor) resize() error {
	if e.cfg.Size == nil {
		return nil
	}

	width, height, err := e.cfg.Size()
	if err != nil {
		return fmt.Errorf("read terminal size: %w", err)
	}

	if width <= 0 || height <= 0 {
		return nil // a terminal that does not know its size
	}

	if err := e.tty.SetSize(width, height); err != nil {
		return fmt.Errorf("resize line: %w", err)
	}

	return nil
}

func (e *Editor) next() (string, error) {
	for {
		line, err := e.tty.ReadLine()
		if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
			return "", e.end(err)
		}

		switch prompt := unmark(line); {
		case isExit(prompt):
			return "", io.EOF
		case !blank(prompt):
			return prompt, nil
		}

		if _, err := io.WriteString(e.tty, hint); err != nil {
			return "", fmt.Errorf("write hint: %w", err)
		}
	}
}

// end leaves the line that the prompt sign stands on.
func (e *Editor) end(reason error) error {
	if _, err := io.WriteString(e.cfg.Out, "\r\n"); err != nil {
		return fmt.Errorf("leave line: %w", err)
	}

	return reason
}

func isExit(prompt string) bool {
	word := strings.TrimSpace(prompt)

	return word == "exit" || word == "quit"
}

func blank(line string) bool { return strings.TrimSpace(line) == "" }
