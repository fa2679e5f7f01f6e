package anthropic

import (
	"context"
	"net/http"
	"strings"

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

	name = "anthropic"
)

// Config configures a [Model]. The zero value asks Anthropic without a key, which it refuses.
type Config struct {
	// Key authorises requests. Defaults to none.
	Key provider.Secret
	// URL is the base of the interface, up to and without "/v1/messages". Defaults to [DefaultURL].
	URL string
	// Model is asked when a request names none. Defaults to [DefaultModel].
	Model string
	// Timeouts bounds the waits.
	Timeouts provider.Timeouts
	// Client sends the requests; it should have no time-out of its own. Defaults to a new one with proxies from the
	// environment.
	Client *http.Client
}

// Model is a model of Anthropic.
type Model struct {
	messages anthropic.MessageService
	target   call.Target
	timeouts provider.Timeouts
}

var _ provider.Continuer = (*Model)(nil)

// New returns a model. It sends nothing yet.
func New(cfg Config) *Model {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}

	if cfg.Model == "" {
		cfg.Model = DefaultModel
	}

	opts := []option.RequestOption{
		option.WithBaseURL(strings.TrimRight(cfg.URL, "/") + "/"),
		option.WithHTTPClient(call.Client(cfg.Client)),
		option.WithMaxRetries(0),
	}
	if cfg.Key != "" {
		opts = append(opts, option.WithAPIKey(string(cfg.Key)))
	}

	return &Model{
		messages: anthropic.NewMessageService(opts...),
		target: call.Target{
			Provider: name, Model: cfg.Model, URL: cfg.URL, KeyEnv: KeyEnv, Redact: call.Redactor(cfg.Key),
		},
		timeouts: cfg.Timeouts,
	}
}

// Name implements [provider.Model].
func (m *Model) Name() string { return name + "/" + m.target.Model }

// Stream implements [provider.Model].
func (m *Model) Stream(
	ctx context.Context, req provider.Request, emit func(text string) error,
) (provider.Result, error) {
	target := m.target
	if req.Model != "" {
		target.Model = req.Model
	}

	inner, watch := call.Start(ctx, m.timeouts)
	defer watch.Stop()

	events := m.messages.NewStreaming(inner, params(target.Model, req), option.WithMiddleware(watch.Middleware))
	defer func() { _ = events.Close() }() // Close has nothing to say that Err did not

	res := provider.Result{Provider: name, Model: target.Model}

	for events.Next() {
		event := events.Current()
		if event.Type == "" {
			return res, target.Malformed()
		}

		note(&res, &event)

		text := content(&event)
		if text == "" {
			continue
		}

		watch.Token()

		if err := emit(text); err != nil {
			return res, err
		}
	}

	if res.FinishReason != "" && ctx.Err() == nil {
		return res, nil // whatever went wrong after the last word
	}

	return res, explain(ctx, inner, target, watch, events.Err())
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
