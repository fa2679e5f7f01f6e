package web

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/internal/edge"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// defaultReason is why a turn was cancelled when the request doesn't say.
	defaultReason = "cancelled by the user"
	// maxReason bounds a reason in bytes.
	maxReason = 1000
)

// cancelled is the answer to a cancel.
type cancelled struct {
	Session string `json:"session"`
	// Turn is empty when all earlier turns are cancelled.
	Turn   string `json:"turn,omitempty"`
	Reason string `json:"reason"`
}

// cancel cancels the turn that the path names, or every earlier turn of the session.
func (h *handler) cancel(w http.ResponseWriter, r *http.Request) {
	c := cancelled{
		Session: subjects.Encode(r.PathValue("session")), Turn: r.PathValue("turn"), Reason: r.URL.Query().Get("reason"),
	}
	if c.Reason == "" {
		c.Reason = defaultReason
	}

	if err := c.check(); err != nil {
		writeError(w, err)

		return
	}

	ctx, done := h.storing(r.Context())
	defer done()

	err := h.poster.Cancel(ctx, framework.Ref{Session: c.Session, Turn: c.Turn}, c.Reason)
	if err != nil && !errors.Is(err, subjects.ErrInvalid) && !errors.Is(err, bus.ErrInvalid) {
		err = &statusError{
			http.StatusServiceUnavailable,
			"the bus did not confirm that it stored the cancel (" + err.Error() + "); it is safe to send it again",
		}
	}

	if err != nil {
		writeError(w, err)

		return
	}

	edge.WriteJSON(w, http.StatusAccepted, c)
}

func (c *cancelled) check() error {
	switch {
	case subjects.Reserved(c.Session), subjects.Reserved(c.Turn):
		return &statusError{http.StatusBadRequest, "ids that begin with \"_\" are reserved"}
	case len(c.Reason) > maxReason || !utf8.ValidString(c.Reason):
		return &statusError{http.StatusBadRequest, fmt.Sprintf("the reason is not text of at most %d bytes", maxReason)}
	default:
		return nil
	}
}
