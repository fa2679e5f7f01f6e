package check_test

import (
	"slices"
	"testing"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// either is a sound history whose first answer may also be "xy": the attempt that died began that one.
func either() *forge {
	f := sound()
	f.Turns[0].Answers["llm"] = check.Answer{Chunks: []string{"a", "b"}, Or: [][]string{{"x", "y"}}, State: bus.Completed}
	f.Logs["a1"][0].Body = []byte("x")
	for i := range f.Readers {
		f.Readers[i].Events[1] = chunk(1, "t1", 1, 0, "x")
	}

	return f
}

func TestEachAttemptMayGiveAnotherAnswer(t *testing.T) {
	t.Parallel()
	if found := either().Check(); len(found) > 0 {
		t.Errorf("a sound history is blamed: %v", found)
	}
}

func TestAnAnswerOfTwoDiverges(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f *forge){
		"within an attempt": func(f *forge) {
			f.Logs["a1"][1].Body = []byte("ay")
			for i := range f.Readers {
				f.Readers[i].Events[4] = chunk(1, "t1", 2, 1, "y")
			}
		},
		"over attempts": func(f *forge) {
			log := f.Logs["a1"]
			log[1].First, log[1].Lengths, log[1].Body = 1, []int{1}, []byte("b")
			for i := range f.Readers {
				f.Readers[i].Events = slices.Delete(f.Readers[i].Events, 2, 4)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := either()
			spoil(f)
			found := f.Check()
			for _, v := range found {
				if v.Kind == check.Diverged {
					return
				}
			}
			t.Errorf("a mix of two answers passes: %v", found)
		})
	}
}
