package terminal

import (
	"fmt"
	"io"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

const (
	restarted = "— answer restarted —"
	dim       = "\x1b[2m"
	normal    = "\x1b[0m"
)

// Config says where answers are printed. Out and Notices are needed.
type Config struct {
	// Out gets the answers and Notices one line for each answer that did not complete: standard output and error.
	Out     io.Writer
	Notices io.Writer
	// Screen says that Out is a terminal: answers appear as they come. Defaults to a pipe: each appears at its end.
	Screen bool
	// Plain leaves out colour and the like on a terminal. Defaults to using them.
	Plain bool
}

// Renderer turns the events of a session into what a reader sees. It is a state machine without input of its own and
// is not safe for concurrent use.
//
// In a pipe, each answer of text is followed by exactly one line feed; answers of other types are written as they are.
// On a terminal the line feed is left out when the answer ends with one, and of other types only a line is shown that
// names type and size. An answer that did not complete is printed as far as it came; one without any text prints
// nothing.
type Renderer struct {
	cfg    Config
	clean  cleaner
	answer answer
	// whole says that the answer has been seen from its first event, open that it has not ended, inLine that the last
	// thing on the screen is not a line feed.
	whole, open, inLine bool
}

// NewRenderer returns a Renderer.
func NewRenderer(cfg Config) *Renderer { return &Renderer{cfg: cfg} }

// Settled reports whether everything handled so far has been printed, so that a reader may go on from here after a
// restart. On a terminal it always is; in a pipe between two answers.
func (r *Renderer) Settled() bool { return r.cfg.Screen || !r.open }

// Handle prints what an event changes. The events of one session must come in order. Its errors are those of the
// writers.
func (r *Renderer) Handle(e stream.SessionEvent) error {
	if e.Event.Kind != stream.KindOpened && !r.open {
		r.open, r.inLine = true, true // an earlier run printed the beginning
	}

	switch e.Event.Kind {
	case stream.KindOpened:
		r.reset()
		r.whole, r.open = true, true

		return nil
	case stream.KindChunk:
		return r.chunk(e)
	case stream.KindSuperseded:
		return r.superseded(e)
	case stream.KindEnd:
		defer r.reset()

		return r.end(e)
	default:
		return nil
	}
}

func (r *Renderer) reset() {
	r.answer, r.clean = answer{}, cleaner{}
	r.whole, r.open = false, false
}

func (r *Renderer) chunk(e stream.SessionEvent) error {
	r.answer.add(e.Event.Chunk.Index, e.Event.Chunk.Data)

	if r.cfg.Screen && isText(e.Info.Type) {
		return r.show(r.clean.append(nil, e.Event.Chunk.Data))
	}

	return nil
}

// superseded takes back what it can in a pipe. On a screen it prints the valid part of the answer anew below a line
// that says why, whether or not the superseded part is still on the screen.
func (r *Renderer) superseded(e stream.SessionEvent) error {
	shown := r.answer.supersede(e.Event.From) || !r.whole
	if !r.cfg.Screen || !shown || !isText(e.Info.Type) {
		return nil
	}

	r.clean = cleaner{}

	line := restarted
	if !r.cfg.Plain {
		line = dim + restarted + normal
	}

	if err := r.show([]byte(r.lineFeed() + line + "\n")); err != nil {
		return err
	}

	return r.show(r.clean.append(nil, r.answer.text))
}

func (r *Renderer) end(e stream.SessionEvent) error {
	if err := r.finish(e); err != nil {
		return err
	}

	end := e.Event.End
	if end.State == bus.Completed {
		return nil
	}

	notice := "the answer failed"
	if end.State == bus.Cancelled {
		notice = "the answer was cancelled"
	}

	if end.Reason != "" {
		notice += ": " + cleanLine(end.Reason)
	}

	if _, err := fmt.Fprintln(r.cfg.Notices, notice); err != nil {
		return fmt.Errorf("print notice: %w", err)
	}

	return nil
}

// Expired says that something is missing because it is no longer stored. An answer in progress stays as it is.
func (r *Renderer) Expired() error {
	if r.cfg.Screen {
		if err := r.show([]byte(r.lineFeed())); err != nil {
			return err
		}
	}

	r.reset()

	if _, err := fmt.Fprintln(r.cfg.Notices, "a part of the session is no longer stored; going on with what is"); err != nil {
		return fmt.Errorf("print notice: %w", err)
	}

	return nil
}

// finish prints what is left of an answer.
func (r *Renderer) finish(e stream.SessionEvent) error {
	empty := len(r.answer.text) == 0 && e.Event.End.State != bus.Completed

	switch {
	case r.cfg.Screen && !isText(e.Info.Type):
		return r.show(fmt.Appendf(nil, "[%s, %d bytes]\n", e.Info.Type, len(r.answer.text)))
	case r.cfg.Screen:
		rest := r.clean.end(nil)
		r.inLine = r.inLine || len(rest) > 0

		return r.show(append(rest, r.lineFeed()...))
	case empty:
		return nil
	case isText(e.Info.Type):
		return r.write(append(r.answer.text, '\n'))
	default:
		return r.write(r.answer.text)
	}
}

// lineFeed is what it takes to get to the beginning of a line.
func (r *Renderer) lineFeed() string {
	if r.inLine {
		return "\n"
	}

	return ""
}

// show writes clean text to the screen.
func (r *Renderer) show(text []byte) error {
	if len(text) == 0 {
		return nil
	}

	r.inLine = text[len(text)-1] != '\n'

	return r.write(text)
}

func (r *Renderer) write(text []byte) error {
	if _, err := r.cfg.Out.Write(text); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}

	return nil
}

// isText reports whether chunks of a type can be read by a person.
func isText(t bus.DataType) bool { return t == bus.Text || t == bus.JSON || t == "" }
