package anthropic

import (
	"context"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/internal/call"
)

const (
	// DefaultModel is the model asked when none is named.
	DefaultModel = anthropic.ModelClaudeHaiku5_5
	// DefaultURL is where Anthropic is.
	DefaultURL = "https://api.anthropic.com"
	// DefaultMaxTokens is the length of an answer when a request names none; the interface demands one.
	DefaultMaxTokens = 8192
	// KeyEnv is the environment variable that customarily holds the key.
	KeyEnv = "ANTHROPIC_API_KEY"

	// Name is what results and settings call the provider.
	Name = "anthropic"
)

// Config configures a [Model]. The zero value asks Anthropic at [DefaultURL] for [DefaultModel] without a key, which it
// refuses. URL goes up to and without "/v1/messages".
type Config = provider.Config

// Model is a model of Anthropic.
type Model struct {
	messages anthropic.MessageService
	target   call.Target
	timeouts provider.Timeouts
}

var _ provider.Continuer = (*Model)(nil)

// New returns a model. It sends nothing yet.
func New(cfg Config) *Model {
	target := call.NewTarget(Name, KeyEnv, cfg, DefaultURL, DefaultModel)

	opts := []option.RequestOption{
		option.WithBaseURL(target.Base()), option.WithHTTPClient(call.Client(cfg.Client)), option.WithMaxRetries(0),
	}
	if cfg.Key != "" {
		opts = append(opts, option.WithAPIKey(string(cfg.Key)))
	}

	return &Model{
		messages: anthropic.NewMessageService(opts...), target: target, timeouts: cfg.Timeouts,
	}
}

// Name implements [provider.Model].
func (m *Model) Name() string { return m.target.Name() }

// Stream implements [provider.Model].
func (m *Model) Stream(
	ctx context.Context, req provider.Request, emit func(text string) error,
) (provider.Result, error) {
	target := m.target.For(req)

	inner, watch := call.Start(ctx, m.timeouts)
	defer watch.Stop()

	events := m.messages.NewStreaming(inner, params(target.Model, req), option.WithMiddleware(watch.Middleware))

	return call.Relay(ctx, target, watch, events, call.Dialect[anthropic.MessageStreamEventUnion]{
		Note: func(res *provider.Result, event *anthropic.MessageStreamEventUnion) error {
			if event.Type == "" {
				return target.Malformed()
			}

			note(res, event)

			return nil
		},
		Content: content,
		Explain: func(err error) error { return explain(ctx, inner, target, watch, err) },
	}, emit)
}

// note takes from an event what it says about the answer. Tokens read from or written to the cache are part of the input.
func note(res *provider.Result, event *anthropic.MessageStreamEventUnion) {
	switch event.Type {
	case "message_start":
		u := event.Message.Usage
		res.ID = event.Message.ID
		res.InputTokens = u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens
		res.OutputTokens = u.OutputTokens

		if event.Message.Model != "" {
			res.Model = event.Message.Model
		}
	case "message_delta":
		u := event.Usage
		res.OutputTokens = max(res.OutputTokens, u.OutputTokens)
		res.InputTokens = max(res.InputTokens, u.InputTokens+u.CacheCreationInputTokens+u.CacheReadInputTokens)

		if reason := string(event.Delta.StopReason); reason != "" {
			res.FinishReason = reason
		}
	}
}

// content returns the text that an event adds to the answer.
func content(event *anthropic.MessageStreamEventUnion) string {
	switch {
	case event.Type == "content_block_delta" && event.Delta.Type == "text_delta":
		return event.Delta.Text
	case event.Type == "content_block_start" && event.ContentBlock.Type == "text":
		return event.ContentBlock.Text
	default:
		return ""
	}
}

func params(model string, req provider.Request) anthropic.MessageNewParams {
	p := anthropic.MessageNewParams{
		Model:     model,
		MaxTokens: DefaultMaxTokens,
		Messages:  messages(req.Messages),
	}

	if continues(model, req.Begun) {
		p.Messages = append(p.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock(req.Begun)))
	}

	if req.MaxTokens > 0 {
		p.MaxTokens = int64(req.MaxTokens)
	}

	if req.System != "" {
		p.System = []anthropic.TextBlockParam{{Text: req.System}}
	}

	if req.Temperature != nil {
		p.Temperature = anthropic.Float(*req.Temperature)
	}

	return p
}

func messages(msgs []provider.Message) []anthropic.MessageParam {
	out := make([]anthropic.MessageParam, 0, len(msgs))

	for _, msg := range msgs {
		block := anthropic.NewTextBlock(msg.Text)
		if msg.Role == provider.Assistant {
			out = append(out, anthropic.NewAssistantMessage(block))
		} else {
			out = append(out, anthropic.NewUserMessage(block))
		}
	}

	return out
}
