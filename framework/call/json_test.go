package call_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/call"
)

// caller calls as a turn does.
type caller struct{ *call.Client }

func (c caller) Call(ctx context.Context, component string, r call.Request) ([]byte, error) {
	r.Component = component

	return c.Client.Call(ctx, r)
}

func (c caller) Stream(ctx context.Context, component string, r call.Request) iter.Seq2[[]byte, error] {
	r.Component = component

	return c.Client.Stream(ctx, r)
}

func TestJSON(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{})
	w.serve("i1", 0, call.JSON(func(_ context.Context, numbers []int) (int, error) {
		sum := 0
		for _, n := range numbers {
			sum += n
		}

		if sum == 0 {
			return 0, errors.New("nothing to add")
		}

		return sum, nil
	}))

	r := call.Request{Operation: "do", JSON: []int{2, 3}}
	if sum, err := call.Ask[int](t.Context(), caller{w.client}, "tool", r); err != nil || sum != 5 {
		t.Errorf("got %d, %v", sum, err)
	}

	for want, body := range map[string]string{call.CodeInvalid: `"two"`, "internal": "[]"} {
		r := call.Request{Operation: "do", Body: []byte(body)}
		if _, err := call.Ask[int](t.Context(), caller{w.client}, "tool", r); code(err) != want {
			t.Errorf("%s: %v, want code %s", body, err, want)
		}
	}

	if _, err := call.Ask[string](t.Context(), caller{w.client}, "tool", r); err == nil {
		t.Error("a number became a text")
	}

	r.JSON = func() {}
	if _, err := call.Ask[int](t.Context(), caller{w.client}, "tool", r); err == nil {
		t.Error("a function became JSON")
	}
}

func TestJSONStream(t *testing.T) {
	t.Parallel()

	w := setup(t, call.Config{})
	w.serve("i1", 0, call.JSONStream(func(_ context.Context, n int, send func(int) error) error {
		for i := range n {
			if err := send(i * i); err != nil {
				return err
			}
		}

		return errors.New("enough")
	}))

	var (
		got  []int
		last error
	)

	for n, err := range call.AskStream[int](t.Context(), caller{w.client}, "tool", call.Request{Operation: "do", JSON: 4}) {
		if last = err; err == nil {
			got = append(got, n)
		}
	}

	if diff := cmp.Diff([]int{0, 1, 4, 9}, got); diff != "" || code(last) != "internal" {
		t.Errorf("%v\n%s", last, diff)
	}
}
