package call

import (
	"context"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Events is a stream of events as both clients read it.
type Events[E any] interface {
	// Next waits for an event and reports whether there is one.
	Next() bool
	// Current returns it.
	Current() E
	// Err says why there are no more; nil at the end.
	Err() error
	// Close closes the connection.
	Close() error
}

// Dialect says what the events of a provider mean.
type Dialect[E any] struct {
	// Note takes from an event what it says about the answer. An error ends the answer.
	Note func(res *provider.Result, event *E) error
	// Content returns the text that an event adds to the answer.
	Content func(event *E) string
	// Explain turns what the client returned into an error that says what to do. A nil err means that the stream was over
	// too early.
	Explain func(err error) error
}

// Relay emits the text of the events as they come and returns how the answer ended. It closes the events.
func Relay[E any](
	ctx context.Context, target Target, watch *Watch, events Events[E], d Dialect[E], emit func(text string) error,
) (provider.Result, error) {
	defer func() { _ = events.Close() }() // Close has nothing to say that Err did not

	res := provider.Result{Provider: target.Provider, Model: target.Model}

	for events.Next() {
		event := events.Current()
		if err := d.Note(&res, &event); err != nil {
			return res, err
		}

		text := d.Content(&event)
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

	return res, d.Explain(events.Err())
}
