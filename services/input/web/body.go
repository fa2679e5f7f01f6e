package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// partSize is the longest chunk made of a streamed body.
const partSize = 32 << 10

// body reads a request's body and notices when it stops arriving.
type body struct {
	in      io.Reader
	control *http.ResponseController
	pause   time.Duration
}

func newBody(w http.ResponseWriter, r *http.Request, cfg Config) *body {
	return &body{
		in:      http.MaxBytesReader(w, r.Body, cfg.MaxBody),
		control: http.NewResponseController(w),
		pause:   cfg.BodyPause,
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	// A server without deadlines waits for ever; that is its choice.
	_ = b.control.SetReadDeadline(time.Now().Add(b.pause))

	n, err := b.in.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}

	return n, err //nolint:wrapcheck // A reader passes on what the reader below says, io.EOF above all.
}

// postWhole posts a body of known length as one chunk.
func (h *handler) postWhole(ctx context.Context, in *body, p framework.Post) (framework.Ref, error) {
	data, err := io.ReadAll(in)
	if err != nil {
		return framework.Ref{}, h.brokenOff(err)
	}

	if len(data) == 0 {
		return framework.Ref{}, errEmpty()
	}

	ctx, cancel := h.storing(ctx)
	defer cancel()

	return h.poster.Post(ctx, p, data) //nolint:wrapcheck // it says what it was doing
}

// postStreamed posts a body while it arrives.
func (h *handler) postStreamed(ctx context.Context, in *body, p framework.Post) (framework.Ref, error) {
	parts := parts{in: in, text: p.Type == bus.Text || p.Type == bus.JSON}

	first, err := parts.next()
	if errors.Is(err, io.EOF) {
		return framework.Ref{}, errEmpty()
	}

	if err != nil {
		return framework.Ref{}, h.brokenOff(err)
	}

	w, ref, err := h.open(ctx, p)
	if err != nil {
		return ref, err
	}

	return ref, h.forward(ctx, w, first, &parts)
}

func (h *handler) open(ctx context.Context, p framework.Post) (*stream.Writer, framework.Ref, error) {
	ctx, cancel := h.storing(ctx)
	defer cancel()

	w, ref, err := h.poster.Open(ctx, p)

	// The same request came before and all of its body was stored: there is nothing left to do.
	if ended := (*stream.EndedError)(nil); errors.As(err, &ended) && ended.End.State == bus.Completed {
		return nil, framework.Ref{Session: p.Session, Turn: p.ID}, nil
	}

	return w, ref, err //nolint:wrapcheck // it says what it was doing
}

// forward sends the parts of a body and ends the input as the body ended. A nil writer needs nothing.
func (h *handler) forward(ctx context.Context, w *stream.Writer, part []byte, parts *parts) error {
	if w == nil {
		return nil
	}

	for {
		if err := h.send(ctx, w, part); err != nil {
			return err
		}

		var err error

		part, err = parts.next()
		if errors.Is(err, io.EOF) {
			return h.complete(ctx, w)
		}

		if err != nil {
			return h.fail(ctx, w, h.brokenOff(err))
		}
	}
}

// send stores a part. A writer that can't go on is failed as well as possible, so that its reader is told.
func (h *handler) send(ctx context.Context, w *stream.Writer, part []byte) error {
	sending, cancel := h.storing(ctx)
	defer cancel()

	if err := w.Send(sending, part); err != nil {
		return h.fail(ctx, w, fmt.Errorf("store prompt: %w", err))
	}

	return nil
}

// complete ends the input, after all of it is stored.
func (h *handler) complete(ctx context.Context, w *stream.Writer) error {
	ctx, cancel := h.storing(ctx)
	defer cancel()

	return w.Close(ctx) //nolint:wrapcheck // it says what it was doing
}

// fail ends the input with a reason and returns the reason.
func (h *handler) fail(ctx context.Context, w *stream.Writer, reason error) error {
	ctx, cancel := h.storing(ctx)
	defer cancel()

	if err := w.Fail(ctx, reason.Error()); err != nil {
		w.Abandon()

		return errors.Join(reason, err)
	}

	return reason
}

// storing is the context of what must be done even when the client has left meanwhile.
func (h *handler) storing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), h.cfg.StoreTimeout)
}

// brokenOff explains why a body could not be read to its end.
func (h *handler) brokenOff(err error) error {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return h.tooLong()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &statusError{http.StatusRequestTimeout, fmt.Sprintf("nothing of the prompt arrived for %v", h.cfg.BodyPause)}
	default:
		return &statusError{http.StatusBadRequest, "the request ended before the prompt did"}
	}
}

// parts cuts a body into chunks as it arrives. Chunks of text end between characters.
type parts struct {
	in   io.Reader
	text bool
	buf  []byte
	rest []byte // the beginning of a character, in buf
	err  error
}

// next returns the next part, never an empty one, and io.EOF after the last. A part is valid until the next call.
func (p *parts) next() ([]byte, error) {
	if p.buf == nil {
		p.buf = make([]byte, partSize)
	}

	for p.err == nil {
		held := copy(p.buf, p.rest)
		n, err := p.in.Read(p.buf[held:])
		part := p.buf[:held+n]
		p.err = err

		cut := len(part)
		if p.text && err == nil {
			cut = wholeCharacters(part)
		}

		p.rest = part[cut:]

		if cut > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return part[:cut], nil
		}
	}

	return nil, p.err
}

// wholeCharacters returns how many bytes of b are left when a character is not complete at its end.
func wholeCharacters(b []byte) int {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}

			return i
		}
	}

	return len(b)
}
