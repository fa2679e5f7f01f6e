package web

import (
	"errors"
	"net/http"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/internal/edge"
	"github.com/woodwork-go/woodwork/subjects"
)

// statusError is an error that knows its status.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string { return e.message }

func errEmpty() error {
	return &statusError{http.StatusBadRequest, "the prompt is empty; send it as the request's body"}
}

// writeError answers with the status that fits err, and returns it.
func writeError(w http.ResponseWriter, err error) int {
	status, message := explain(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}

	edge.WriteError(w, status, message)

	return status
}

func explain(err error) (int, string) {
	var (
		known *statusError
		ended *stream.EndedError
	)

	switch {
	case errors.As(err, &known):
		return known.status, known.message
	case errors.As(err, &ended):
		return http.StatusConflict, "an earlier request with this Idempotency-Key ended as " + string(ended.End.State) +
			"; send the prompt again with a new key"
	case errors.Is(err, framework.ErrSessionBusy):
		return http.StatusConflict, "the session has a turn that is not done; wait for its end, cancel it, or post with policy=queue"
	case errors.Is(err, stream.ErrFenced):
		return http.StatusConflict, "another request with this Idempotency-Key took over; wait for its answer"
	case errors.Is(err, stream.ErrTooLarge), errors.Is(err, bus.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, "the prompt is too long for the bus; split it into several turns"
	case errors.Is(err, subjects.ErrInvalid), errors.Is(err, bus.ErrInvalid):
		return http.StatusBadRequest, err.Error()
	default:
		return http.StatusServiceUnavailable, "the bus did not confirm that it stored the prompt (" + err.Error() +
			"); with an Idempotency-Key it is safe to send it again"
	}
}
