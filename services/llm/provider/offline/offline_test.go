package offline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/services/llm/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(prompt string) provider.Request {
	return provider.Request{Messages: []provider.Message{
		{Role: provider.User, Text: "before"}, {Role: provider.Assistant, Text: "then"}, {Role: provider.User, Text: prompt},
	}}
}

func stream(ctx context.Context, m *Model, prompt string) ([]string, provider.Result, error) {
	var pieces []string

	res, err := m.Stream(ctx, request(prompt), func(text string) error {
		pieces = append(pieces, text)

		return nil
	})

	return pieces, res, err
}

func TestAnswerHoldsThePromptByteForByte(t *testing.T) {
	t.Parallel()

	ctx := t.Context()

	rapid.Check(t, func(t *rapid.T) {
		prompt := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`(?s)[\x00-\x20a-zä€🪵𐍈]{0,300}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "prompt")

		pieces, res, err := stream(ctx, New(Config{}), prompt)
		if err != nil {
			t.Fatal(err)
		}

		answer := strings.Join(pieces, "")
		if !strings.Contains(answer, prompt) || answer != Answer(prompt) {
			t.Fatalf("the answer is %q", answer)
		}

		if int(res.OutputTokens) != len(pieces) || res.FinishReason != "stop" || res.Model != "offline" {
			t.Fatalf("the result is %+v for %d pieces", res, len(pieces))
		}

		for _, p := range pieces {
			if p == "" || len(p) > maxPiece || utf8.ValidString(prompt) && !utf8.ValidString(p) {
				t.Fatalf("piece %q", p)
			}
		}
	})
}

func TestAnAnswerGoesOnBehindAnyBeginning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		req := request(string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "prompt")))
		whole := Answer(req.Prompt())
		req.Begun = whole[:rapid.IntRange(0, len(whole)).Draw(t, "begun")]

		rest := ""

		res, err := New(Config{}).Stream(t.Context(), req, func(piece string) error { rest += piece; return nil })
		if err != nil || !New(Config{}).Continues(req) || req.Begun+rest != whole || res.FinishReason != "stop" {
			t.Fatalf("behind %q came %q, %v", req.Begun, rest, err)
		}
	})
}

func TestABeginningOfAnotherModelIsNotContinued(t *testing.T) {
	t.Parallel()

	req := request("x")
	req.Begun = "I am a real model"

	if New(Config{}).Continues(req) {
		t.Error("the offline model claims to go on")
	}
}

func TestAnswerNamesItselfAndTheWayOut(t *testing.T) {
	t.Parallel()

	for _, part := range []string{"offline model", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "--base-url"} {
		if !strings.Contains(Answer("x"), part) {
			t.Errorf("the answer lacks %q", part)
		}
	}
}

func TestWordsComeAtTheirPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()

		pieces, _, err := stream(t.Context(), New(Config{Pace: 30 * time.Millisecond}), "three little words")
		if err != nil {
			t.Fatal(err)
		}

		if took, want := time.Since(begun), time.Duration(len(pieces))*30*time.Millisecond; took != want {
			t.Errorf("%d pieces took %v, want %v", len(pieces), took, want)
		}
	})
}

func TestCancelEndsTheWaitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })

		begun := time.Now()
		if _, _, err := stream(ctx, New(Config{Pace: time.Hour}), "x"); !errors.Is(err, reason) || time.Since(begun) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

func TestCancelIsSeenWithoutAPaceToo(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	n := 0

	_, err := New(Config{}).Stream(ctx, request("a b c"), func(string) error {
		n++

		cancel()

		return nil
	})
	if n != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d pieces, %v", n, err)
	}
}

func TestErrorOfEmitIsReturned(t *testing.T) {
	t.Parallel()

	full := errors.New("full")
	if _, err := New(Config{}).Stream(t.Context(), request("x"), func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}
