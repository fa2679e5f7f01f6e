package answer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Keys of the facts in the final frame of an answer.
const (
	MetaProvider     = "provider"
	MetaModel        = "model"
	MetaFinishReason = "finish_reason"
	MetaInputTokens  = "input_tokens"
	MetaOutputTokens = "output_tokens"
	// MetaResumedBytes is how many bytes of the answer earlier attempts wrote. The tokens are those of the last attempt.
	MetaResumedBytes = "resumed_bytes"
	// MetaFallbackFor is who should have answered, as "provider/model", when somebody else did.
	MetaFallbackFor = "fallback_for"
)

// errEmpty: a turn without a prompt.
var errEmpty = errors.New("the prompt is empty; write something to be answered")

// handle answers one turn. It is a [framework.Handler].
func (s *Settings) handle(ctx context.Context, turn *framework.Turn) error {
	prompt, past, err := readBoth(ctx, turn)
	if err != nil {
		return err
	}

	if strings.TrimSpace(prompt) == "" {
		return framework.Terminate(errEmpty)
	}

	text, err := s.stream(ctx, turn, &past, prompt)
	if err != nil {
		return err
	}

	// Only who still owns the turn gets past here: an execution that was replaced must not speak for it.
	if err := turn.Output.Flush(ctx); err != nil {
		return fmt.Errorf("store answer: %w", err)
	}

	return save(ctx, turn.Session, past, s.limits(), exchange{Turn: turn.ID, Prompt: prompt, Answer: text})
}

// readBoth reads the prompt and, at the same time, what the session remembers.
func readBoth(ctx context.Context, turn *framework.Turn) (string, history, error) {
	var (
		past   history
		failed error
		load   sync.WaitGroup
	)

	load.Go(func() { past, failed = loadHistory(ctx, turn.Session) })

	prompt, err := turn.Input.ReadAll(ctx)

	load.Wait()

	if err != nil {
		return "", past, fmt.Errorf("read prompt: %w", err)
	}

	return string(prompt), past, failed
}

// stream sends the answer, or what is missing of it, to the turn's output and returns the whole of it.
func (s *Settings) stream(ctx context.Context, turn *framework.Turn, past *history, prompt string) (string, error) {
	req := provider.Request{
		System: s.System, Temperature: s.Temperature, MaxTokens: s.MaxTokens,
		Messages: append(past.messages(turn.ID, s.limits()), provider.Message{Role: provider.User, Text: prompt}),
	}

	handedOver := past.Fallback == turn.ID && len(s.backends) > 1
	if !handedOver {
		text, err := s.ask(ctx, turn, s.backends[0], req, keep(s.backends[0].model, req, turn.Partial))
		if handedOver, err = s.handOver(ctx, turn, past, err); !handedOver {
			return text, err
		}
	}

	turn.Output.SetMeta(MetaFallbackFor, s.Name())

	text, err := s.ask(ctx, turn, s.backends[1], req, beginning{})
	if err != nil {
		return "", failed(err)
	}

	return text, nil
}

// ask sends one model's answer behind the beginning that is kept to the turn's output, and returns the whole of it.
func (s *Settings) ask(
	ctx context.Context, turn *framework.Turn, b backend, req provider.Request, kept beginning,
) (string, error) {
	r := reply{turn: turn, kept: kept, asked: time.Now()}
	res, err := r.ask(ctx, s.patient(turn, b), req)

	describe(turn, res)

	if err != nil {
		return "", err
	}

	logAnswer(&turn.Log, res, &r)

	return r.whole(), nil
}

// failed decides what becomes of the turn. A provider was given all the chances it gets, and readers may have seen a part
// already, so its failure is final; any other failure, such as an output that could not be stored, is the framework's.
func failed(err error) error {
	if failure, ok := errors.AsType[*provider.Error](err); ok {
		return framework.Terminate(failure)
	}

	return fmt.Errorf("stream answer: %w", err)
}

// describe puts what is known of an answer, also of a broken one, into the final frame.
func describe(turn *framework.Turn, res provider.Result) {
	set := func(key, value string) {
		if value != "" && value != "0" {
			turn.Output.SetMeta(key, value)
		}
	}

	set(MetaProvider, res.Provider)
	set(MetaModel, res.Model)
	set(MetaFinishReason, res.FinishReason)
	set(MetaInputTokens, strconv.FormatInt(res.InputTokens, 10))
	set(MetaOutputTokens, strconv.FormatInt(res.OutputTokens, 10))
}

func logAnswer(log *zerolog.Logger, res provider.Result, r *reply) {
	log.Info().Str(MetaProvider, res.Provider).Str(MetaModel, res.Model).Str(MetaFinishReason, res.FinishReason).
		Int64(MetaInputTokens, res.InputTokens).Int64(MetaOutputTokens, res.OutputTokens).
		Int(MetaResumedBytes, len(r.kept.text)).Dur("first_token", r.first).Dur("took", time.Since(r.asked)).Msg("answered")
}
