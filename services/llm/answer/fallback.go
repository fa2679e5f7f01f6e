package answer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// backend is a model and the breaker of its provider.
type backend struct {
	model   provider.Model
	breaker *breaker.Breaker
}

// use makes first the model that is asked, and second, unless it is nil, its fallback.
func (s *Settings) use(first, second provider.Model) {
	s.breakers = breaker.NewSet(s.Breaker)
	s.backends = []backend{{model: first, breaker: s.breakers.For(first.Name())}}

	if second == nil {
		return
	}

	name := second.Name()
	if name == first.Name() { // at another address
		name += "/fallback"
	}

	s.backends = append(s.backends, backend{model: second, breaker: s.breakers.For(name)})
}

// Breakers returns each provider's circuit breaker, by the provider and model, after a successful Check. That of a
// fallback with the provider and model of the first one has "/fallback" behind them.
func (s *Settings) Breakers() *breaker.Set { return s.breakers }

// patient returns the backend's model as it is asked: again after a passing failure, and only while its breaker allows.
func (s *Settings) patient(turn *framework.Turn, b backend) provider.Model {
	retry := s.Retry
	retry.OnRetry = func(err error, wait time.Duration) {
		turn.Log.Warn().Err(err).Dur("wait", wait).Msg("the model failed, asking again")
	}

	if retry.Attempts == 0 && len(s.backends) > 1 {
		retry.Attempts = 2
	}

	return provider.WithRetry(provider.WithBreaker(&traced{Model: b.model, session: turn.Session.ID}, b.breaker), retry)
}

// handOver decides what follows when the first model was asked and returned err, and reports whether the fallback is to
// answer now. It answers in another attempt when readers have seen a part of the first one's answer: then the error
// asks for that. Either way the session remembers it, so that no later attempt goes on behind another model's words.
func (s *Settings) handOver(ctx context.Context, turn *framework.Turn, past *history, err error) (bool, error) {
	if err == nil {
		return false, nil
	}

	failure, ok := errors.AsType[*provider.Error](err)
	if !ok || !failure.Elsewhere() || len(s.backends) < 2 || ctx.Err() != nil {
		return false, failed(err)
	}

	turn.Log.Warn().Err(failure).Str("fallback", s.backends[1].model.Name()).Msg("the model can't answer, the fallback does")

	past.Fallback = turn.ID
	if err := remember(ctx, turn.Session, past); err != nil {
		return false, err
	}

	if failure.Partial {
		return false, framework.RetryAfter(0, failure)
	}

	return true, nil
}

// remember stores the history. It may only be used before the turn's exchange is added.
func remember(ctx context.Context, session *framework.Session, h *history) error {
	var err error

	for range saveTries {
		h.Version = historyVersion
		if err = session.Save(ctx, h); !errors.Is(err, bus.ErrUnknown) {
			break
		}

		var now history
		if now, err = loadHistory(ctx, session); err == nil && now.Fallback == h.Fallback {
			return nil
		}
	}

	if err != nil {
		return fmt.Errorf("save who answers: %w", err)
	}

	return nil
}
