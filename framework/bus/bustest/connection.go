package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func connectionCases() []promise {
	return []promise{
		{name: "connection/is up from the beginning until it is closed", run: connectionUp},
		{name: "connection/counts that it broke when it is mended", run: connectionMended},
		{name: "connection/is down while the broker is, and says why", run: connectionDown},
	}
}

// noCut is why a case that breaks a connection is left out.
const noCut = "this bus has no connection that can break"

func connectionUp(t *testing.T, s *suite) {
	before := time.Now()
	b := s.open(t)
	opened := time.Now()

	up := b.Connection()
	if !up.Up || up.Lost != 0 || up.Reason != "" || up.Since.Before(before) || up.Since.After(opened) {
		t.Errorf("it was opened between %v and %v: %+v", before, opened, up)
	}

	if err := b.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}

	if c := b.Connection(); c.Up || c.Lost != 0 || c.Since.Before(opened) {
		t.Errorf("it was closed: %+v", c)
	}
}

func connectionMended(t *testing.T, s *suite) {
	if s.Cut == nil {
		t.Skip(noCut)
	}

	ctx, b := within(t), s.open(t)
	before := b.Connection()

	s.Cut(t, b)
	wantConnection(ctx, t, b, func(c bus.Connection) bool {
		return c.Up && c.Lost == 1 && c.Reason != "" && c.Since.After(before.Since)
	})
}

func connectionDown(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	s = s.alone(t)
	ctx, b := within(t), s.open(t)
	up := b.Connection()

	var down bus.Connection

	s.Restart(t, func() {
		down = wantConnection(ctx, t, b, func(c bus.Connection) bool {
			return !c.Up && c.Lost == 1 && c.Reason != "" && c.Since.After(up.Since)
		})
	})

	wantConnection(ctx, t, b, func(c bus.Connection) bool {
		return c.Up && c.Lost == 1 && c.Reason == down.Reason && c.Since.After(down.Since)
	})
}

// wantConnection returns how the connection does as soon as holds does.
func wantConnection(ctx context.Context, t *testing.T, b bus.Bus, holds func(bus.Connection) bool) bus.Connection {
	t.Helper()

	for {
		c := b.Connection()

		switch {
		case holds(c):
			return c
		case !pause(ctx):
			t.Fatalf("after %v it is %+v", patience, c)
		}
	}
}
