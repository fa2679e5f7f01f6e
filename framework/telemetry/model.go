package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of a model's span, by OpenTelemetry's conventions for generative AI.
const (
	keyAIOperation    = attribute.Key("gen_ai.operation.name")
	keyAIProvider     = attribute.Key("gen_ai.provider.name")
	keyAIConversation = attribute.Key("gen_ai.conversation.id")
	keyAIModel        = attribute.Key("gen_ai.request.model")
	keyAIStream       = attribute.Key("gen_ai.request.stream")
	keyAITemperature  = attribute.Key("gen_ai.request.temperature")
	keyAIMaxTokens    = attribute.Key("gen_ai.request.max_tokens")
	keyAIOutput       = attribute.Key("gen_ai.output.type")
	keyAIAnswer       = attribute.Key("gen_ai.response.id")
	keyAIAnswerModel  = attribute.Key("gen_ai.response.model")
	keyAIFinish       = attribute.Key("gen_ai.response.finish_reasons")
	keyAIFirst        = attribute.Key("gen_ai.response.time_to_first_chunk")
	keyAIInput        = attribute.Key("gen_ai.usage.input_tokens")
	keyAIOutputTokens = attribute.Key("gen_ai.usage.output_tokens")
)

// operationChat is what a model is asked for.
const operationChat = "chat"

// Question is what a model is asked, without the question.
type Question struct {
	Provider, Model string
	Session         string
	Temperature     *float64
	// MaxTokens bounds the answer; 0 leaves it to the provider.
	MaxTokens int
}

// Answer is what is known of a model's answer, without the answer. What is zero is not known.
type Answer struct {
	ID, Model, FinishReason   string
	InputTokens, OutputTokens int64
}

// Asking is the span of one request to a model. Its methods do nothing on a nil Asking. One goroutine at a time may
// call them.
type Asking struct {
	span  *Span
	begun time.Time
	first time.Duration
}

// Ask begins the span "chat <model>" below the span in ctx; nil when there is none, as when tracing is off.
func Ask(ctx context.Context, q Question) (context.Context, *Asking) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}

	attrs := []attribute.KeyValue{
		keyAIOperation.String(operationChat), keyAIProvider.String(q.Provider), keyAIModel.String(q.Model),
		keyAIConversation.String(q.Session), keyAIStream.Bool(true), keyAIOutput.String("text"),
	}

	if q.Temperature != nil {
		attrs = append(attrs, keyAITemperature.Float64(*q.Temperature))
	}

	if q.MaxTokens > 0 {
		attrs = append(attrs, keyAIMaxTokens.Int(q.MaxTokens))
	}

	ctx, span := child(ctx, operationChat+" "+q.Model, trace.SpanKindClient, attrs)

	return ctx, &Asking{span: span, begun: time.Now()}
}

// Piece notes that a piece of the answer came.
func (a *Asking) Piece() {
	if a != nil && a.first == 0 {
		a.first = max(time.Since(a.begun), 1)
	}
}

// End ends the span with what is known of the answer. kind is the kind of failure, or empty.
func (a *Asking) End(answer Answer, kind string) {
	if a == nil {
		return
	}

	var attrs []attribute.KeyValue

	for key, value := range map[attribute.Key]string{keyAIAnswer: answer.ID, keyAIAnswerModel: answer.Model} {
		if value != "" {
			attrs = append(attrs, key.String(value))
		}
	}

	for key, value := range map[attribute.Key]int64{
		keyAIInput: answer.InputTokens, keyAIOutputTokens: answer.OutputTokens,
	} {
		if value > 0 {
			attrs = append(attrs, key.Int64(value))
		}
	}

	if answer.FinishReason != "" {
		attrs = append(attrs, keyAIFinish.StringSlice([]string{answer.FinishReason}))
	}

	if a.first > 0 {
		attrs = append(attrs, keyAIFirst.Float64(a.first.Seconds()))
	}

	a.span.span.SetAttributes(attrs...)

	if kind != "" {
		a.span.fail(kind)
	}

	a.span.End()
}
