package load

import (
	"context"
	"fmt"
	"io"
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
)

// post posts the session's turns until there are enough. A turn is posted until it is acknowledged, so that the order
// of the turns is known.
func (s *session) post(ctx context.Context, enough, well <-chan struct{}) {
	for n := range s.cfg.Turns {
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
	key := strconv.Itoa(n)
	prompt, h := s.prompt(n)
	turn, err := s.expect(ctx, subjects.Derive(s.id, "http", key), prompt, h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.turns = append(s.turns, turn)
	s.hooked[turn.ID] = h != hook.None
	i := len(s.turns) - 1
	s.mu.Unlock()
	if err := s.live.follow(ctx, s.log, s.id, turn.ID); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-well:
			pause(ctx, s.cfg.Quiet)
			cancel()
		case <-ctx.Done():
		}
	}()
	var asked time.Time
	for try := 0; ; try++ {
		asked = time.Now()
		inputs := s.edges.Inputs()
		if err = s.try(ctx, inputs[(s.number+n+try)%len(inputs)], key, prompt); err == nil {
			break
		}
		pause(ctx, retryWait)
		if ctx.Err() != nil {
			return fmt.Errorf("post turn: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns[i].Acked, s.turns[i].Asked, s.turns[i].Told = true, asked, time.Now()
	s.happened()

	return nil
}

// try posts once. Only the right status says that the turn is stored.
func (s *session) try(ctx context.Context, base, key, prompt string) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	url := base + "/v1/sessions/" + s.id + "/turns"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(prompt))
	if err != nil {
		return err
	}
	request.Header.Set("Idempotency-Key", key)
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(response.Body)

		return fmt.Errorf("%s: %s", response.Status, text)
	}

	return nil
}

// prompt makes the text of a turn, different for each.
func (s *session) prompt(n int) (string, hook.Hook) {
	words := []string{"stream", "töne", "durable", "流れ", "fence", "🪵", "resume", "wood", "work", "Ωmega"}
	var b strings.Builder
	h := hook.None
	if s.random.Float64() < s.cfg.HookShare {
		h = s.cfg.Hooks[s.random.IntN(len(s.cfg.Hooks))]
		b.WriteString(h.Tag() + " ")
	}
	fmt.Fprintf(&b, "%s turn %d:", s.id, n)
	for range s.random.IntN(12) {
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
		"llm":   {Chunks: answers[0], Or: answers[1:], State: bus.Completed},
		"relay": {Chunks: relayed[0], Or: relayed[1:], State: state},
	}}, nil
}

// offline is what the offline model answers.
func offline(ctx context.Context, prompt string) ([][]string, error) {
	pieces, err := hook.Pieces(ctx, prompt)

	return [][]string{pieces}, err
}
