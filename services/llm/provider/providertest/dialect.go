package providertest

import (
	"encoding/json"
	"fmt"
)

// Dialect is the format of a provider's stream. Its functions return events as they go over the wire.
type Dialect struct {
	// Name is the provider's name.
	Name string
	// Path is where its requests go, below the base URL.
	Path string
	// Start begins an answer, at the price of in tokens.
	Start func(in int) string
	// Delta is a piece of text.
	Delta func(text string) string
	// Finish ends the answer.
	Finish func(reason string, in, out int) string
	// Error is an error event within the stream.
	Error func(kind, message string) string
	// Refusal is the body of an HTTP error.
	Refusal func(kind, message string) string
	// Noise are events that a client must pass over.
	Noise []string
}

// The model and id that the dialects put into answers.
const (
	Model = "test-model-2026"
	ID    = "answer-1"
)

// OpenAI returns the format of streaming chat completions.
func OpenAI() Dialect {
	return Dialect{
		Name:  "openai",
		Path:  "/chat/completions",
		Start: func(int) string { return openAIChunk(`{"role":"assistant","content":"","refusal":null}`, "null") },
		Delta: func(text string) string { return openAIChunk(`{"content":`+quote(text)+`}`, "null") },
		Finish: func(reason string, in, out int) string {
			return OpenAIFinish(reason) + openAIUsage(in, out) + "data: [DONE]\n\n"
		},
		Error:   func(kind, message string) string { return "data: " + openAIError(kind, message) + "\n\n" },
		Refusal: openAIError,
		Noise: []string{
			": a comment\n\n",
			"event: future\ndata: {\"id\":\"x\",\"object\":\"something.new\",\"choices\":[]}\n\n",
		},
	}
}

// OpenAIFinish ends an answer without usage and without the last line, as some compatible servers do.
func OpenAIFinish(reason string) string { return openAIChunk("{}", quote(reason)) }

func openAIChunk(delta, reason string) string {
	return fmt.Sprintf(`data: {"id":%q,"object":"chat.completion.chunk","created":1790000000,"model":%q,`+
		`"system_fingerprint":"fp_1","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],"usage":null}`+
		"\n\n", ID, Model, delta, reason)
}

func openAIUsage(in, out int) string {
	return fmt.Sprintf(`data: {"id":%q,"object":"chat.completion.chunk","created":1790000000,"model":%q,"choices":[],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", ID, Model, in, out, in+out)
}

func openAIError(kind, message string) string {
	return fmt.Sprintf(`{"error":{"message":%s,"type":%q,"param":null,"code":%q}}`, quote(message), kind, kind)
}

// Anthropic returns the format of streaming messages.
func Anthropic() Dialect {
	return Dialect{
		Name:   "anthropic",
		Path:   "/v1/messages",
		Start:  anthropicStart,
		Delta:  anthropicDelta,
		Finish: anthropicFinish,
		Error: func(kind, message string) string {
			return "event: error\ndata: " + anthropicError(kind, message) + "\n\n"
		},
		Refusal: anthropicError,
		Noise: []string{
			anthropicEvent("ping", `{"type":"ping"}`),
			anthropicEvent("future_event", `{"type":"future_event","delta":{"text":"not for you"}}`),
			anthropicEvent("content_block_delta",
				`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}`),
		},
	}
}

func anthropicStart(in int) string {
	return anthropicEvent("message_start", fmt.Sprintf(`{"type":"message_start","message":{"id":%q,"type":"message",`+
		`"role":"assistant","model":%q,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,`+
		`"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}`, ID, Model, in)) +
		anthropicEvent("content_block_start",
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
}

func anthropicDelta(text string) string {
	return anthropicEvent("content_block_delta",
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quote(text)+`}}`)
}

func anthropicFinish(reason string, _, out int) string {
	return anthropicEvent("content_block_stop", `{"type":"content_block_stop","index":0}`) +
		anthropicEvent("message_delta", fmt.Sprintf(
			`{"type":"message_delta","delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":%d}}`,
			reason, out)) +
		anthropicEvent("message_stop", `{"type":"message_stop"}`)
}

func anthropicError(kind, message string) string {
	return fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%s},"request_id":"req_1"}`, kind, quote(message))
}

func anthropicEvent(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

// quote returns a JSON string that holds characters as they are, not escaped.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""`
	}

	return string(b)
}
