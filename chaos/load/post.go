package load

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	tryTimeout = 5 * time.Second
	retryWait  = 150 * time.Millisecond
	// longAnswer is of how many words an answer is that takes so long that its cancel must shorten it.
	longAnswer = 600
	// relays is the component that answers last.
	relays = "relay"
)

// post posts the session's turns until there are enough. A turn is posted until it is acknowledged, so that the order
// of the turns is known.
func (s *session) post(ctx context.Context, enough, well <-chan struct{}) {
	for n := 0; s.lifelong() || n < s.cfg.Turns; n++ {
		if !s.await(ctx, well, func() bool { return s.behind() < s.cfg.Window }) || !s.turnToPost(ctx, enough) {
			return
		}
		if err := s.postOne(ctx, well, n); err != nil {
			return
		}
	}
}

// turnToPost waits for the right to post one more turn.
func (s *session) turnToPost(ctx context.Context, enough <-chan struct{}) bool {
	select {
	case <-s.tokens:
		return !isClosed(enough)
	case <-enough:
	case <-ctx.Done():
	}

	return false
}

// postOne posts a turn until it is acknowledged, and gives up long after everything is well again.
func (s *session) postOne(ctx context.Context, well <-chan struct{}, n int) error {
	w := s.draw()
	prompt, h := s.prompt(n, w)
	turn, err := s.expect(ctx, subjects.Derive(s.id, "http", strconv.Itoa(n)), prompt, h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	path := "/v1/sessions/" + s.id + "/turns"
	if w == interrupt {
		s.mayCancel()
		path += "?policy=interrupt"
	}
	if turn.Posted.Before(s.until) {
		turn.Cancel = turn.Posted // a request that was given up may still cancel it
	}
	s.turns = append(s.turns, turn)
	s.hooked[turn.ID] = h != hook.None
	i := len(s.turns) - 1
	s.mu.Unlock()
	if err := s.live.follow(ctx, s.log, s.id, turn.ID); err != nil {
		return err
	}
	asked, err := s.insist(ctx, well, n, path, prompt, w)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.turns[i].Acked, s.turns[i].Asked, s.turns[i].Told = true, asked, time.Now()
	s.happened()
	s.mu.Unlock()
	s.keep(context.WithoutCancel(ctx), turn.ID)
	s.act(ctx, well, w, i)

	return nil
}

// insist posts turn n until it is acknowledged, and returns when the post that was began.
func (s *session) insist(
	ctx context.Context, well <-chan struct{}, n int, path, prompt string, w whim,
) (asked time.Time, err error) {
	ctx, stop := s.patient(ctx, well)
	defer stop()
	for try := 0; ; try++ {
		asked = time.Now()
		inputs := s.edges.Inputs()
		err = s.send(ctx, http.MethodPost, inputs[(s.number+n+try)%len(inputs)]+path, strings.NewReader(prompt), strconv.Itoa(n))
		if err == nil {
			return asked, nil
		}
		if w == interrupt {
			s.mu.Lock()
			s.until = time.Now().Add(straggle)
			s.turns[n].Cancel = asked // an earlier try may come after a later one
			s.mu.Unlock()
		}
		pause(ctx, retryWait)
		if ctx.Err() != nil {
			return asked, fmt.Errorf("post turn: %w", err)
		}
	}
}

// prompt makes the text of a turn, different for each. One that is to be cancelled is long.
func (s *session) prompt(n int, w whim) (string, hook.Hook) {
	words := []string{"stream", "töne", "durable", "流れ", "fence", "🪵", "resume", "wood", "work", "Ωmega"}
	var b strings.Builder
	h := hook.None
	count := s.random.IntN(12)
	if w == cancelOne {
		count = longAnswer
	}
	if w != cancelOne && s.random.Float64() < s.cfg.HookShare {
		h = s.cfg.Hooks[s.random.IntN(len(s.cfg.Hooks))]
		b.WriteString(h.Tag() + " ")
	}
	fmt.Fprintf(&b, "%s turn %d:", s.id, n)
	for range count {
		b.WriteString(" " + words[s.random.IntN(len(words))])
	}

	return b.String(), h
}

// expect returns a turn with the answers that must come of it.
func (r *Runner) expect(ctx context.Context, id, prompt string, h hook.Hook) (check.Turn, error) {
	answers, err := r.cfg.Answers(ctx, prompt)
	if err != nil {
		return check.Turn{}, err
	}
	relayed := make([][]string, len(answers))
	for i, pieces := range answers {
		relayed[i] = hook.Relayed(pieces, h)
	}
	state := bus.Completed
	if h.Fails() {
		state = bus.Failed
	}

	return check.Turn{ID: id, Prompt: prompt, Posted: time.Now(), Answers: map[string]check.Answer{
		"llm":  {Chunks: answers[0], Or: answers[1:], State: bus.Completed},
		relays: {Chunks: relayed[0], Or: relayed[1:], State: state},
	}}, nil
}

// offline is what the offline model answers.
func offline(ctx context.Context, prompt string) ([][]string, error) {
	pieces, err := hook.Pieces(ctx, prompt)

	return [][]string{pieces}, err
}
