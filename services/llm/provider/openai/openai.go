package openai

import (
	"context"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/internal/call"
)

const (
	// DefaultModel is the model asked when none is named.
	DefaultModel = openai.ChatModelGPT5_4Mini
	// DefaultURL is where OpenAI is.
	DefaultURL = "https://api.openai.com/v1"
	// KeyEnv is the environment variable that customarily holds the key.
	KeyEnv = "OPENAI_API_KEY"

	// Name is what results and settings call the provider.
	Name = "openai"
)

// Config configures a [Model]. The zero value asks OpenAI at [DefaultURL] for [DefaultModel] without a key, which it
// refuses; many compatible servers accept that. URL goes up to and without "/chat/completions".
type Config = provider.Config

// Model is a model behind the chat completions interface.
type Model struct {
	chat     openai.ChatCompletionService
	target   call.Target
	timeouts provider.Timeouts
	official bool
}

var _ provider.Model = (*Model)(nil)

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
		chat: openai.NewChatCompletionService(opts...), target: target, timeouts: cfg.Timeouts,
		official: target.URL == DefaultURL,
	}
}

// Name implements [provider.Model].
func (m *Model) Name() string { return m.target.Name() }

// Stream implements [provider.Model].
func (m *Model) Stream(
	ctx context.Context, req provider.Request, emit func(text string) error,
) (provider.Result, error) {
	target := m.target.For(req)
	params := m.params(target.Model, req)
	res, err := m.stream(ctx, target, params, emit)

	if refusesUsage(err) {
		params.StreamOptions = openai.ChatCompletionStreamOptionsParam{}

		return m.stream(ctx, target, params, emit)
	}

	return res, err
}

func (m *Model) stream(
	ctx context.Context, target call.Target, params openai.ChatCompletionNewParams, emit func(text string) error,
) (provider.Result, error) {
	inner, watch := call.Start(ctx, m.timeouts)
	defer watch.Stop()

	events := m.chat.NewStreaming(inner, params, option.WithMiddleware(watch.Middleware))

	return call.Relay(ctx, target, watch, events, call.Dialect[openai.ChatCompletionChunk]{
		Note: note, Content: content,
		Explain: func(err error) error { return explain(ctx, inner, target, watch, err) },
	}, emit)
}

// note takes from a chunk what it says about the answer. Servers leave out what they don't know.
func note(res *provider.Result, chunk *openai.ChatCompletionChunk) error {
	if chunk.ID != "" {
		res.ID = chunk.ID
	}

	if chunk.Model != "" {
		res.Model = chunk.Model
	}

	if n := chunk.Usage.PromptTokens; n > 0 {
		res.InputTokens = n
	}

	if n := chunk.Usage.CompletionTokens; n > 0 {
		res.OutputTokens = n
	}

	for i := range chunk.Choices {
		if c := &chunk.Choices[i]; c.Index == 0 && c.FinishReason != "" {
			res.FinishReason = c.FinishReason
		}
	}

	return nil
}

// content returns the text that a chunk adds to the answer. A refusal is an answer too.
func content(chunk *openai.ChatCompletionChunk) string {
	for i := range chunk.Choices {
		if c := &chunk.Choices[i]; c.Index == 0 {
			return c.Delta.Content + c.Delta.Refusal
		}
	}

	return ""
}

func (m *Model) params(model string, req provider.Request) openai.ChatCompletionNewParams {
	params := openai.ChatCompletionNewParams{
		Model:         model,
		Messages:      messages(req),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}

	if req.Temperature != nil {
		params.Temperature = openai.Float(*req.Temperature)
	}

	switch limit := openai.Int(int64(req.MaxTokens)); {
	case req.MaxTokens == 0:
	case m.official:
		params.MaxCompletionTokens = limit // newer models refuse the older name
	default:
		params.MaxTokens = limit // compatible servers know the older name
	}

	return params
}

func messages(req provider.Request) []openai.ChatCompletionMessageParamUnion {
	out := make([]openai.ChatCompletionMessageParamUnion, 0, len(req.Messages)+1)
	if req.System != "" {
		out = append(out, openai.SystemMessage(req.System))
	}

	for _, msg := range req.Messages {
		if msg.Role == provider.Assistant {
			out = append(out, openai.AssistantMessage(msg.Text))
		} else {
			out = append(out, openai.UserMessage(msg.Text))
		}
	}

	return out
}
