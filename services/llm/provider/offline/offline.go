// Package offline is the language model for when there is none: it needs no key and no network, repeats what it was
// told, says that it is only the offline model, and how to get a real one.
//
// It exists so that a fresh checkout answers, and so that tests can compare an answer with its prompt byte for byte: the
// same prompt always gives the same answer, which contains the prompt unchanged.
package offline

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

const (
	// Name is what results and settings call the model.
	Name = "offline"

	intro = "I am Woodwork's offline model; no language model is configured. You said:\n\n"
	outro = "\n\nFor real answers, set OPENAI_API_KEY or ANTHROPIC_API_KEY, or give --base-url the address of an " +
		"OpenAI-compatible server such as Ollama.\n"

	// maxPiece bounds a piece in bytes, for text without spaces.
	maxPiece = 64
)

// Config configures a [Model]. The zero value works.
type Config struct {
	// Pace is the wait before each word. Defaults to none.
	Pace time.Duration
}

// Model is the offline model.
type Model struct {
	pace time.Duration
}

var _ provider.Continuer = (*Model)(nil)

// New returns an offline model.
func New(cfg Config) *Model { return &Model{pace: cfg.Pace} }

// Name implements [provider.Model].
func (m *Model) Name() string { return Name }

// Answer returns the whole answer to a prompt.
func Answer(prompt string) string { return intro + prompt + outro }

// Continues implements [provider.Continuer]: the model goes on with what it would have said itself.
func (m *Model) Continues(req provider.Request) bool {
	return strings.HasPrefix(Answer(req.Prompt()), req.Begun)
}

// Stream implements [provider.Model]. It counts a word as a token, and fails only with ctx or emit.
func (m *Model) Stream(
	ctx context.Context, req provider.Request, emit func(text string) error,
) (provider.Result, error) {
	prompt := req.Prompt()
	res := provider.Result{Provider: Name, Model: Name, InputTokens: count(prompt)}

	pace := newPace(m.pace)
	defer pace.stop()

	for rest := m.rest(req); rest != ""; {
		var piece string

		piece, rest = cut(rest)
		if err := pace.wait(ctx); err != nil {
			return res, err
		}

		if err := emit(piece); err != nil {
			return res, err
		}

		res.OutputTokens++
	}

	res.FinishReason = "stop"

	return res, nil
}

// rest is what is left to say of an answer.
func (m *Model) rest(req provider.Request) string {
	answer := Answer(req.Prompt())
	if m.Continues(req) {
		return answer[len(req.Begun):]
	}

	return answer
}

// cut takes the first word with the spaces behind it, or as much of it as a piece may hold, off a text.
func cut(text string) (piece, rest string) {
	inSpace := false

	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])

		space := unicode.IsSpace(r)
		if inSpace && !space || i+size > maxPiece {
			return text[:i], text[i:]
		}

		inSpace = space
		i += size
	}

	return text, ""
}

func count(text string) int64 { return int64(len(strings.Fields(text))) }

// pace waits for the same time again and again.
type pace struct {
	every time.Duration
	timer *time.Timer
}

func newPace(every time.Duration) *pace {
	p := &pace{every: every}
	if every > 0 {
		p.timer = time.NewTimer(every)
	}

	return p
}

// wait returns after the wait, or with the cause of ctx when that ends first.
func (p *pace) wait(ctx context.Context) error {
	if p.timer == nil {
		return context.Cause(ctx) //nolint:wrapcheck // the caller's own reason
	}

	select {
	case <-ctx.Done():
		return context.Cause(ctx) //nolint:wrapcheck // the caller's own reason
	case <-p.timer.C:
		p.timer.Reset(p.every)

		return nil
	}
}

func (p *pace) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
