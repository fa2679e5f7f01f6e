package answer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// reply is an answer on its way to the turn's output.
type reply struct {
	turn  *framework.Turn
	kept  beginning
	begun bool // the output has been told what is kept
	text  strings.Builder
	asked time.Time
	first time.Duration // from the question to the first piece
}

// beginning is what earlier attempts wrote of the answer and this one keeps.
type beginning struct {
	chunks uint64
	text   string
}

// lookBack is how many chunks may be given up for a place at which a model can go on.
const lookBack = 16

// keep returns the longest beginning, in whole chunks, behind which the model can go on; none when it can't, or would
// have to go back far.
func keep(m provider.Model, req provider.Request, partial []stream.Chunk) beginning {
	model, ok := m.(provider.Continuer)
	if !ok {
		return beginning{}
	}

	var text strings.Builder
	for _, c := range partial {
		text.Write(c.Data)
	}

	req.Begun = text.String()

	for n := len(partial); n > max(0, len(partial)-lookBack); n-- {
		if model.Continues(req) {
			return beginning{chunks: uint64(n), text: req.Begun}
		}

		req.Begun = req.Begun[:len(req.Begun)-len(partial[n-1].Data)]
	}

	return beginning{}
}

// ask asks the model, and once more from the beginning when it refuses to go on behind what is kept.
func (r *reply) ask(ctx context.Context, m provider.Model, req provider.Request) (provider.Result, error) {
	emit := func(piece string) error { return r.emit(ctx, piece) }
	req.Begun = r.kept.text

	res, err := m.Stream(ctx, req, emit)
	if req.Begun != "" && !r.begun && refused(err) {
		r.turn.Log.Warn().Err(err).Msg("the model does not go on with an answer, asking for a whole one")

		r.kept, req.Begun = beginning{}, ""
		res, err = m.Stream(ctx, req, emit)
	}

	if err != nil {
		return res, err //nolint:wrapcheck // the caller decides by what it is
	}

	return res, r.begin() // a model may have had nothing to say
}

func refused(err error) bool {
	failure, ok := errors.AsType[*provider.Error](err)

	return ok && failure.Kind == provider.KindRejected
}

// emit sends a piece to the output.
func (r *reply) emit(ctx context.Context, piece string) error {
	if r.text.Len() == 0 {
		r.first = time.Since(r.asked)
	}

	if err := r.begin(); err != nil {
		return err
	}

	r.text.WriteString(piece)

	return r.turn.Output.Send(ctx, []byte(piece)) //nolint:wrapcheck // it comes back from ask, and is wrapped there
}

// begin gives up what earlier attempts wrote beyond the beginning that is kept. It waits for the first piece: until
// there is one, readers keep all they have.
func (r *reply) begin() error {
	if r.begun {
		return nil
	}

	r.begun = true

	if err := r.turn.Output.Rewind(r.kept.chunks); err != nil {
		return fmt.Errorf("go on with the answer: %w", err)
	}

	if n := len(r.kept.text); n > 0 {
		r.turn.Output.SetMeta(MetaResumedBytes, strconv.Itoa(n))
	}

	return nil
}

// whole returns the answer with its beginning.
func (r *reply) whole() string { return r.kept.text + r.text.String() }
