package connection_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/connection"
)

func TestLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l connection.Log

		began := time.Now().UTC()
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }

		for i, step := range []struct {
			do   func()
			want bus.Connection
		}{
			{func() {}, bus.Connection{}},
			{l.Up, bus.Connection{Up: true, Since: at(1)}},
			{l.Up, bus.Connection{Up: true, Since: at(1)}},
			{func() { l.Broke(errors.New("read:\n\treset")) }, bus.Connection{Since: at(3), Lost: 1, Reason: "read: reset"}},
			{func() { l.Broke(errors.New("refused")) }, bus.Connection{Since: at(3), Lost: 1, Reason: "read: reset"}},
			{l.Up, bus.Connection{Up: true, Since: at(5), Lost: 1, Reason: "read: reset"}},
			{func() { l.Broke(nil) }, bus.Connection{Since: at(6), Lost: 2, Reason: "the connection broke"}},
			{l.Up, bus.Connection{Up: true, Since: at(7), Lost: 2, Reason: "the connection broke"}},
			{l.Close, bus.Connection{Since: at(8), Lost: 2, Reason: "the connection broke"}},
			{l.Up, bus.Connection{Since: at(8), Lost: 2, Reason: "the connection broke"}},
		} {
			step.do()

			if diff := cmp.Diff(step.want, l.Now()); diff != "" {
				t.Errorf("step %d (-want +got):\n%s", i, diff)
			}

			<-time.After(time.Second)
		}
	})
}

func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()

	var l connection.Log

	l.Up()
	l.Broke(errors.New("x" + strings.Repeat("ü", 500)))

	if got := l.Now().Reason; len(got) != 199 || !utf8.ValidString(got) {
		t.Errorf("the reason has %d bytes: %q", len(got), got)
	}
}
