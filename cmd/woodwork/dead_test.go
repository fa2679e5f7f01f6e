package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// dump is a bus with a component that can do nothing until it is repaired.
type dump struct {
	t        *testing.T
	url      string
	client   *framework.Client
	repaired atomic.Bool
}

func newDump(t *testing.T) *dump {
	t.Helper()

	d := &dump{t: t, url: embeddedtest.Run(t).URL()}
	cfg := framework.Config{URL: d.url}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() {
		done <- framework.Run(ctx, framework.Service{
			Name: "crusher", Handler: func(ctx context.Context, turn *framework.Turn) error {
				if !d.repaired.Load() {
					return framework.Terminate(errors.New("out\x1b[31mof\norder"))
				}

				said, err := turn.Input.ReadAll(ctx)

				return errors.Join(err, turn.Output.Send(ctx, said))
			},
		}, cfg)
	}()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Errorf("the component ended: %v", err)
		}
	})

	var err error
	if d.client, err = framework.Connect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = d.client.Close(context.WithoutCancel(t.Context())) })

	return d
}

// throw posts a turn and waits for the end of its answer.
func (d *dump) throw(session, id, text string) {
	d.t.Helper()

	p := framework.Post{Session: session, ID: id, Component: "crusher"}
	if _, err := d.client.Post(d.t.Context(), p, []byte(text)); err != nil {
		d.t.Fatal(err)
	}

	d.answer(session, id)
}

func (d *dump) answer(session, root string) (text string, state bus.State) {
	d.t.Helper()

	f, err := d.client.Follow(d.t.Context(), stream.FollowConfig{Session: session})
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()

	for {
		e, err := f.Next(d.t.Context())

		switch {
		case err != nil:
			d.t.Fatal(err)
		case e.Info.Root != root:
		case e.Event.Kind == stream.KindChunk:
			text += string(e.Event.Chunk.Data)
		case e.Event.Kind == stream.KindEnd:
			return text, e.Event.End.State
		}
	}
}

// run runs "woodwork dead" and returns its standard output.
func (d *dump) run(args ...string) string {
	d.t.Helper()

	p := start(d.t, nil, []string{"NATS_URL=" + d.url}, "woodwork", append([]string{"dead"}, args...)...)
	if code := p.wait(); code != 0 {
		d.t.Fatalf("woodwork dead %v exited with %d: %s", args, code, p.stderr)
	}

	return p.stdout.String()
}

func wantText(t *testing.T, what, got string, want ...string) {
	t.Helper()

	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, got)
		}
	}
}

func TestDeadLettersFromTheCommandLine(t *testing.T) {
	t.Parallel()

	d := newDump(t)
	d.throw("s1", "tin", "a secret tin")
	d.throw("s1", "can", "a secret can")
	d.throw("s2", "box", "a secret box")

	table := d.run("ls")
	wantText(t, "ls", table, "ID", "REASON", "tin", "can", "box", "crusher", "s1", "s2", "out [31mof order")

	if lines := strings.Count(table, "\n"); lines != 4 || strings.Contains(table, "secret") {
		t.Errorf("ls prints %d lines:\n%s", lines, table)
	}

	wantText(t, "ls -session", d.run("ls", "-session", "s2"), "box")

	if none := d.run("ls", "-component", "other"); strings.Count(none, "\n") != 1 {
		t.Errorf("ls of another component:\n%s", none)
	}

	var view struct {
		ID         string            `json:"id"`
		Session    string            `json:"session"`
		Input      string            `json:"input"`
		Attempts   []bus.DeadAttempt `json:"attempts"`
		InputBytes int               `json:"input_bytes"`
	}

	if err := json.Unmarshal([]byte(d.run("ls", "--json", "--session", "s2")), &view); err != nil {
		t.Fatal(err)
	}

	if view.ID != "box" || view.Session != "s2" || len(view.Attempts) != 1 || view.InputBytes != 12 || view.Input != "" {
		t.Errorf("ls --json says %+v", view)
	}

	shown := d.run("show", "tin")
	wantText(t, "show", shown, "tin", "crusher", "12 bytes", "attempt 1", "out [31mof order")

	if strings.Contains(shown, "secret") {
		t.Errorf("show prints the input unasked:\n%s", shown)
	}

	wantText(t, "show -input", d.run("show", "tin", "-input"), "a secret tin") // flags may stand behind, too
	wantText(t, "show -json", d.run("show", "-json", "-input", "tin"), `"input":"a secret tin"`)

	wantText(t, "drop", d.run("drop", "box"), "dropped box")
	d.repaired.Store(true)

	var again struct {
		Turn string `json:"turn"`
	}

	if err := json.Unmarshal([]byte(d.run("replay", "tin", "-json")), &again); err != nil {
		t.Fatal(err)
	}

	if text, state := d.answer("s1", again.Turn); text != "a secret tin" || state != bus.Completed {
		t.Errorf("the replay was answered with %q, %s", text, state)
	}

	wantText(t, "replay -all", d.run("replay", "-all"), "replayed can as ", " in session s1")

	if left := d.run("ls"); strings.Count(left, "\n") != 1 {
		t.Errorf("left:\n%s", left)
	}
}

func TestWrongUseOfDead(t *testing.T) {
	t.Parallel()

	d := newDump(t)
	d.throw("s1", "tin", "one")
	d.throw("s2", "tin", "two")

	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no action":      {nil, 2, "woodwork dead ls"},
		"unknown action": {[]string{"eat"}, 2, "eat"},
		"ls of an id":    {[]string{"ls", "tin"}, 2, "tin"},
		"show nothing":   {[]string{"show"}, 2, "id"},
		"show two":       {[]string{"show", "tin", "can"}, 2, "one turn"},
		"replay nothing": {[]string{"replay"}, 2, "-all"},
		"replay both":    {[]string{"replay", "tin", "-all"}, 2, "-all"},
		"drop nothing":   {[]string{"drop"}, 2, "id"},
		"unknown flag":   {[]string{"show", "tin", "-fly"}, 2, "-fly"},
		"not a flag":     {[]string{"show", "--", "-fly"}, 1, "-fly: no such dead letter"},
		"unknown id":     {[]string{"drop", "can"}, 1, "can: no such dead letter"},
		"two of one id":  {[]string{"drop", "tin"}, 1, "-session"},
		"no component":   {[]string{"ls", "-component", "a b"}, 1, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := start(t, nil, []string{"NATS_URL=" + d.url}, "woodwork", append([]string{"dead"}, c.args...)...)
			code := p.wait()

			if last := lastLine(p.stderr.String()); code != c.code || !strings.Contains(last, c.says) {
				t.Errorf("exit code %d, %q; want %d and %q", code, last, c.code, c.says)
			}

			if p.stdout.String() != "" {
				t.Errorf("stdout %q", p.stdout)
			}
		})
	}
}
