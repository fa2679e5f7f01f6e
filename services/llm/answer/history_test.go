package answer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHistoryStaysWithinItsLimitsAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := limits{messages: rapid.IntRange(-1, 12).Draw(t, "messages"), bytes: rapid.IntRange(1, 2000).Draw(t, "bytes")}
		text := rapid.StringMatching(`[\x00-\x20<>a-z🪵]{1,80}x`)

		var (
			h   history
			all []exchange
		)

		for range rapid.IntRange(0, 12).Draw(t, "turns") {
			e := exchange{
				Turn:   fmt.Sprint("t", rapid.IntRange(0, 8).Draw(t, "turn")),
				Prompt: text.Draw(t, "prompt"), Answer: text.Draw(t, "answer"),
			}
			h = h.with(e, l)
			all = append(all, e)
		}

		if n := 2 * len(h.Exchanges); n > max(l.messages, 0) {
			t.Fatalf("%d messages, allowed %d", n, l.messages)
		}

		data, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}

		const frame = len(`{"v":0,"exchanges":null}`)
		if len(data) > l.bytes+frame {
			t.Fatalf("%d bytes, allowed %d", len(data), l.bytes)
		}

		turns := map[string]bool{}
		for _, e := range h.Exchanges {
			if turns[e.Turn] {
				t.Fatalf("turn %s is remembered twice", e.Turn)
			}

			turns[e.Turn] = true
		}

		if len(all) > 0 && l.messages >= 2 && all[len(all)-1].size() <= l.bytes && len(h.Exchanges) == 0 {
			t.Fatal("the newest exchange fits and is forgotten")
		}
	})
}

func TestBlankExchangesAreNotRemembered(t *testing.T) {
	t.Parallel()

	l := limits{messages: 10, bytes: 1000}
	if h := (history{}).with(exchange{Turn: "t", Prompt: "x", Answer: " \n"}, l); len(h.Exchanges) != 0 {
		t.Errorf("got %+v", h)
	}
}

func TestStoredHistoryFitsTheBus(t *testing.T) {
	t.Parallel()

	l := limits{messages: 1000, bytes: MaxHistoryBytes}

	var h history
	for i := range 100 {
		h = h.with(exchange{Turn: fmt.Sprint(i), Prompt: strings.Repeat("\x01", 5000), Answer: "x"}, l)
	}

	data, err := json.Marshal(h)
	if err != nil || len(data) > 1<<20 || len(h.Exchanges) < 10 {
		t.Errorf("%d exchanges in %d bytes, %v", len(h.Exchanges), len(data), err)
	}
}
