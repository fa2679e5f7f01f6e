package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// Watch ends a request that takes too long, by cancelling its context.
type Watch struct {
	cancel context.CancelCauseFunc
	limits provider.Timeouts
	first  *time.Timer
	total  *time.Timer
	begun  atomic.Bool
	status int
	header http.Header
}

// TimeoutError is the cause of a context that a [Watch] cancelled.
type TimeoutError struct {
	// What was waited for.
	What string
	// After is how long it was waited for.
	After time.Duration
}

// Error implements error.
func (e *TimeoutError) Error() string { return fmt.Sprintf("%s within %v", e.What, e.After) }

// Timeout reports true, as network errors do.
func (e *TimeoutError) Timeout() bool { return true }

// Start begins to watch a request, which must use the returned context. The caller must call Stop.
func Start(ctx context.Context, limits provider.Timeouts) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watch{cancel: cancel, limits: limits.WithDefaults()}

	if d := w.limits.FirstToken; d > 0 {
		w.first = time.AfterFunc(d, func() {
			if w.begun.CompareAndSwap(false, true) {
				cancel(&TimeoutError{What: "no answer began", After: d})
			}
		})
	}

	if d := w.limits.Total; d > 0 {
		w.total = time.AfterFunc(d, func() { cancel(&TimeoutError{What: "the answer did not end", After: d}) })
	}

	return ctx, w
}

// Token notes that a piece of the answer has arrived.
func (w *Watch) Token() {
	if w.begun.CompareAndSwap(false, true) && w.first != nil {
		w.first.Stop()
	}
}

// Stop ends the watch and the request's context.
func (w *Watch) Stop() {
	for _, t := range []*time.Timer{w.first, w.total} {
		if t != nil {
			t.Stop()
		}
	}

	w.cancel(nil)
}

// Refused returns the reply's status and header when it was an HTTP error. The clients lose both when the reply's body is
// not the JSON they expect, such as a proxy's page.
func (w *Watch) Refused() (Reply, bool) {
	return Reply{Status: w.status, Header: w.header}, w.status >= http.StatusBadRequest
}

// Middleware notes the reply's status and watches how long its body keeps the reader waiting. It has the form of both
// clients' middleware.
func (w *Watch) Middleware(
	req *http.Request, next func(*http.Request) (*http.Response, error),
) (*http.Response, error) {
	resp, err := next(req)
	if err == nil && resp != nil && resp.Body != nil {
		w.status, w.header = resp.StatusCode, resp.Header
		if refusal := notEvents(resp); refusal != nil {
			_ = resp.Body.Close() // nothing was read of it

			return nil, refusal
		}

		resp.Body = &watchedBody{ReadCloser: resp.Body, watch: w}
	}

	return resp, err
}

// notEvents returns an error for a page that is meant for people: whatever sent it is not a provider.
func notEvents(resp *http.Response) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" || resp.StatusCode >= http.StatusBadRequest {
		return nil //nolint:nilerr // an odd header is the client's business
	}

	return errHTML
}

// errHTML: the reply is a page.
var errHTML = errors.New("the reply is a page (text/html) instead of a stream of events")

type watchedBody struct {
	io.ReadCloser

	watch *Watch
	timer *time.Timer
}

// Read bounds the wait for the next bytes. The timer runs only in here: while the reader is busy elsewhere, as a slow
// consumer makes it, the provider isn't to blame.
func (b *watchedBody) Read(p []byte) (int, error) {
	if d := b.watch.limits.Idle; d > 0 && b.watch.begun.Load() {
		if b.timer == nil {
			b.timer = time.AfterFunc(d, func() { b.watch.cancel(&TimeoutError{What: "nothing was sent", After: d}) })
		} else {
			b.timer.Reset(d)
		}

		defer b.timer.Stop()
	}

	return b.ReadCloser.Read(p) //nolint:wrapcheck // an io.Reader must return io.EOF itself
}
