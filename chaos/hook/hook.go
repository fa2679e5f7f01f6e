// Package hook says how prompts make the relay of a chaos run misbehave, and what is to be expected of its answers.
//
// A prompt carries its hook as a tag, a word of its own. The language model repeats the prompt, so the relay, which
// works on the model's answer, meets the tag in the middle of the stream and acts on it.
package hook

import (
	"context"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/offline"
)

// Hook is a way to misbehave.
type Hook string

// The hooks. Those that end with "once" act in the first execution of a turn that meets them.
const (
	None Hook = ""
	// Panic panics once.
	Panic Hook = "panic-once"
	// Fail returns an error once.
	Fail Hook = "fail-once"
	// Retry asks for another try once.
	Retry Hook = "retry-once"
	// Hang blocks once, for longer than a lease, without looking at its context.
	Hang Hook = "hang-once"
	// Leak leaves a goroutine behind that holds memory and writes to the output that has ended.
	Leak Hook = "leak"
	// Slow takes its input slowly.
	Slow Hook = "slow"
	// Terminate ends the turn as failed.
	Terminate Hook = "terminate"
	// Poison panics in each execution, until the turn fails for good.
	Poison Hook = "poison"
	// Overrun blocks until the turn's time is over, and so the turn fails.
	Overrun Hook = "overrun"
	// Crash ends the process in each execution. No list holds it: it takes other turns down with it.
	Crash Hook = "crash"
)

// Short lists the hooks that hold up their session for a few seconds at most.
func Short() []Hook { return []Hook{Panic, Fail, Retry, Hang, Leak, Slow, Terminate} }

// All lists the hooks.
func All() []Hook { return append(Short(), Poison, Overrun) }

// Tag returns the word that stands for the hook in a prompt.
func (h Hook) Tag() string { return "[hook:" + string(h) + "]" }

// Fails reports whether a turn with this hook ends as failed, as it should.
func (h Hook) Fails() bool { return h == Terminate || h == Poison || h == Overrun || h == Crash }

// In returns the hook whose tag a text holds, or None.
func In(text string) Hook {
	_, rest, found := strings.Cut(text, "[hook:")
	if !found {
		return None
	}
	name, _, _ := strings.Cut(rest, "]")

	return Hook(name)
}

// Pieces returns the chunks in which the offline model answers a prompt.
func Pieces(ctx context.Context, prompt string) ([]string, error) {
	var pieces []string
	request := provider.Request{Messages: []provider.Message{{Role: provider.User, Text: prompt}}}
	_, err := offline.New(offline.Config{}).Stream(ctx, request, func(piece string) error {
		pieces = append(pieces, piece)

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("answer prompt: %w", err)
	}

	return pieces, nil
}

// Relayed returns the chunks that the relay makes of the model's, up to where the hook ends the turn.
func Relayed(pieces []string, h Hook) []string {
	out := make([]string, 0, len(pieces))
	for _, piece := range pieces {
		out = append(out, strings.ToUpper(piece))
		if h.Fails() && In(piece) == h {
			break
		}
	}

	return out
}
