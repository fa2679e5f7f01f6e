package stream_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// The stream before, which never ends, is not waited for.
func TestFollowerOfOneTurnReadsNothingElse(t *testing.T) {
	t.Parallel()
	s := setup(t, stream.Config{})
	for _, info := range []stream.Info{
		{Stream: "endless", Turn: "t1", Root: "t1"},
		{Stream: "answer", Turn: "t2", Root: "t2"},
		{Stream: "other", Turn: "t3", Root: "t3"},
		{Stream: "branch", Turn: "t4", Root: "t2"},
	} {
		w := open(t, s, stream.WriterConfig{Info: info})
		send(t, w, "x")
		if info.Stream != "endless" {
			end(t, w)
		}
	}
	f, err := s.Follow(t.Context(), stream.FollowConfig{Session: "session", Turn: "t2"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for range 6 {
		ev, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ev.Event.Kind == stream.KindEnd && ev.Event.End.State == bus.Completed {
			got = append(got, ev.Info.Stream)
		}
	}
	if diff := cmp.Diff([]string{"answer", "branch"}, got); diff != "" {
		t.Error(diff)
	}
}
