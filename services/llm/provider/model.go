package provider

import (
	"context"
	"slices"
)

// Model is a language model. Its methods may be called concurrently.
type Model interface {
	// Name says which model of which provider answers by default, as "provider/model", for the log.
	Name() string

	// Stream asks for an answer and calls emit with each piece of it, in order and from the calling goroutine. No piece
	// is empty and none ends inside a character, unless the prompt's own bytes are not UTF-8. While emit blocks the
	// answer is not read on, so a slow reader slows the provider down. An error of emit ends the call, which returns it
	// unchanged. When ctx ends, the connection to the provider is closed at once.
	//
	// Failures of the provider are returned as [*Error]; pieces that were emitted before stay valid. The Result is filled
	// in as far as it was known, also with an error.
	Stream(ctx context.Context, req Request, emit func(text string) error) (Result, error)
}

// Continuer is a [Model] that can go on behind the beginning of an answer, instead of answering anew.
type Continuer interface {
	Model

	// Continues reports whether the model goes on exactly behind Begun when it is asked this. A model may still refuse
	// it with an [Error] of kind [KindRejected], before anything is emitted; then ask again without Begun.
	Continues(req Request) bool
}

// Request is what a model is asked. The zero value of each setting leaves the choice to the provider.
type Request struct {
	// Model names the model. Defaults to the one the provider was configured with.
	Model string
	// System is the instruction that precedes the conversation. Defaults to none.
	System string
	// Messages is the conversation, oldest first. It ends with the user's message that is to be answered.
	Messages []Message
	// Begun is the beginning of the answer, which is there already: only what comes behind it is emitted. It is for a
	// [Continuer] that continues this request; others ignore it. Defaults to none.
	Begun string
	// Temperature is how freely the model chooses its words, from 0 to 2. Defaults to the provider's choice.
	Temperature *float64
	// MaxTokens is the most tokens the answer may have. Defaults to the provider's choice; Anthropic, whose interface
	// demands a number, gets 8,192.
	MaxTokens int
}

// Message is one contribution to a conversation.
type Message struct {
	Role Role
	Text string
}

// Role says who wrote a message.
type Role string

// The roles of a conversation.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Prompt returns the message that is to be answered: the last one of the user, or "".
func (r Request) Prompt() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == User {
			return m.Text
		}
	}

	return ""
}

// Result says how an answer ended.
type Result struct {
	// Provider and Model are who answered; the model as the provider names it, which may be more precise than asked.
	Provider string
	Model    string
	// ID is the provider's name for the answer, or empty.
	ID string
	// FinishReason is why the answer ended, in the provider's words: OpenAI says "stop" or "length" where Anthropic says
	// "end_turn" or "max_tokens". Empty when the provider did not say.
	FinishReason string
	// InputTokens and OutputTokens are what the answer cost; 0 when the provider did not say.
	InputTokens  int64
	OutputTokens int64
}
