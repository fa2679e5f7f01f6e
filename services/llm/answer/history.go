package answer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// historyVersion is the version of the stored form.
const historyVersion = 1

// history is what a session remembers: its completed exchanges, oldest first.
type history struct {
	Version   int        `json:"v"`
	Exchanges []exchange `json:"exchanges"`
	// Fallback is the turn under way that the fallback answers; empty when there is none.
	Fallback string `json:"fallback,omitempty"`
}

// exchange is a prompt and its answer.
type exchange struct {
	// Turn is the turn it happened in, which has one exchange, however often it was executed.
	Turn   string `json:"turn"`
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
}

// errNewer: the history was written by a newer version of this program.
var errNewer = errors.New("the session's history was written by a newer version; update this instance")

func loadHistory(ctx context.Context, session *framework.Session) (history, error) {
	var h history
	if err := session.Load(ctx, &h); err != nil {
		return h, fmt.Errorf("load history: %w", err)
	}

	if h.Version > historyVersion {
		return h, errNewer
	}

	return h, nil
}

// saveTries is how often a save is tried whose outcome is unknown.
const saveTries = 3

// save stores the history as of h with the exchange added, unless another execution of the same turn saved meanwhile: that
// is a conflict, which decides the matter for the other one.
func save(ctx context.Context, session *framework.Session, h history, limits limits, e exchange) error {
	var err error

	for range saveTries {
		err = session.Save(ctx, h.with(e, limits))
		if !errors.Is(err, bus.ErrUnknown) {
			break
		}

		if h, err = loadHistory(ctx, session); err == nil && slices.Contains(h.Exchanges, e) {
			return nil
		}
	}

	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}

	return nil
}

// limits bound a history.
type limits struct {
	messages int
	bytes    int
}

func (s *Settings) limits() limits {
	l := limits{messages: s.HistoryMessages, bytes: s.HistoryBytes}
	if l.messages == 0 {
		l.messages = DefaultHistoryMessages
	}

	if l.bytes == 0 {
		l.bytes = DefaultHistoryBytes
	}

	return l
}

// with returns the history with the exchange in place of one of the same turn, else at its end, and without its oldest
// exchanges where it would exceed the limits. An exchange that exceeds them alone is forgotten too. So is one in which
// either side said nothing, because providers refuse a conversation that holds one.
func (h history) with(e exchange, l limits) history {
	out := history{Version: historyVersion, Exchanges: slices.Clone(h.Exchanges)}

	if i := slices.IndexFunc(out.Exchanges, e.sameTurn); i >= 0 {
		out.Exchanges[i] = e
	} else {
		out.Exchanges = append(out.Exchanges, e)
	}

	out.Exchanges = slices.DeleteFunc(out.Exchanges, exchange.blank)
	out.Exchanges = out.Exchanges[l.excess(out.Exchanges):]

	return out
}

// excess returns how many of the oldest exchanges are over the limits.
func (l limits) excess(exchanges []exchange) int {
	room := l.bytes

	for i, e := range slices.Backward(exchanges) {
		room -= e.size()
		if kept := len(exchanges) - i; 2*kept > l.messages || room < 0 {
			return i + 1
		}
	}

	return 0
}

// messages returns the conversation that precedes a turn.
func (h history) messages(turn string, l limits) []provider.Message {
	before := slices.DeleteFunc(slices.Clone(h.Exchanges), exchange{Turn: turn}.sameTurn)
	before = before[l.excess(before):]
	out := make([]provider.Message, 0, 2*len(before)+1)

	for _, e := range before {
		out = append(out, provider.Message{Role: provider.User, Text: e.Prompt},
			provider.Message{Role: provider.Assistant, Text: e.Answer})
	}

	return out
}

func (e exchange) sameTurn(f exchange) bool { return e.Turn == f.Turn }

func (e exchange) blank() bool {
	return strings.TrimSpace(e.Prompt) == "" || strings.TrimSpace(e.Answer) == ""
}

// size returns how many bytes the exchange takes when it is stored, which is more than its text where that needs escapes.
func (e exchange) size() int {
	data, err := json.Marshal(e)
	if err != nil {
		return len(e.Prompt) + len(e.Answer)
	}

	return len(data) + 1 // and a comma
}
