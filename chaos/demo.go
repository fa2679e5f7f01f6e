package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/chaos/plan"
	"github.com/woodwork-go/woodwork/chaos/system"
	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

const (
	demoPace    = 60 * time.Millisecond
	demoRestart = 5 * time.Second // the killed worker is gone for longer than the demonstration needs it
	demoTimeout = 30 * time.Second
	demoSession = "demo"
	demoPrompt  = "Once upon a time, a model said this sentence, and was killed in the middle of it, and nobody noticed."
	// killAfter is with how many chunks said the worker dies.
	killAfter = 15
)

// runDemo builds the pipeline and shows the scene.
func runDemo(ctx context.Context, out io.Writer) error {
	return inFolder(false, out, func(dir string) error {
		if err := build(ctx, dir, 0); err != nil {
			return err
		}

		return demo(ctx, dir, binaries(dir), out)
	})
}

// demo shows one answer on three screens, a phone, a laptop and a second service, while the worker that writes it is
// killed. It returns an error unless all end with the same, complete text.
func demo(ctx context.Context, dir, bin string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	s, err := system.Start(ctx, system.Config{
		Dir: dir, Bin: bin, Pace: demoPace,
		Instances: map[plan.Target]int{plan.LLM: 2, plan.Relay: 1, plan.Input: 1, plan.Output: 1},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	relay := string(plan.Relay)
	d := &scene{
		system: s, events: make(chan shown), out: out, begun: time.Now(),
		screens: []*screen{{name: "phone", target: relay}, {name: "laptop", target: relay}, {name: relay}},
	}
	d.say("", "input, two llm, a relay and output are processes of their own, on one nats-server")

	reading, leave := context.WithCancel(ctx)
	defer leave()
	var readers errgroup.Group
	for _, screen := range d.screens {
		readers.Go(func() error { return d.read(reading, screen) })
	}
	err = d.play(ctx)
	leave()

	return errors.Join(err, readers.Wait())
}

// scene is the demonstration.
type scene struct {
	system  *system.System
	screens []*screen
	events  chan shown
	out     io.Writer
	begun   time.Time
}

// screen is a reader with what it shows.
type screen struct {
	name   string
	target string // of the streams that it reads
	text   []string
	line   string
	state  bus.State
}

// shown is an event on a screen.
type shown struct {
	screen *screen
	event  stream.Event
}

// read follows the session for a screen, on a connection of its own.
func (d *scene) read(ctx context.Context, s *screen) error {
	client, err := framework.Connect(ctx, framework.Config{URL: d.system.Server()})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }() // nothing is lost with a reader
	f, err := client.Follow(ctx, stream.FollowConfig{Session: demoSession, Targets: []string{s.target}})
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		e, err := f.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		select {
		case d.events <- shown{s, e.Event}:
		case <-ctx.Done():
			return nil
		}
	}
}

// play posts the turn, kills its worker, and waits until all screens show the end.
func (d *scene) play(ctx context.Context) error {
	if err := d.post(ctx); err != nil {
		return err
	}
	var killed, resumed time.Time
	for ended := 0; ended < len(d.screens); {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the answer did not end: %w", context.Cause(ctx))
		case e := <-d.events:
			if resumed.IsZero() && e.screen.target != "" && e.event.Cursor.Attempt > 1 {
				resumed = time.Now()
				d.say("", fmt.Sprintf("the other llm goes on, %v after the kill", resumed.Sub(killed).Round(time.Millisecond)))
			}
			d.show(e.screen, e.event)
			if e.event.Kind == stream.KindEnd {
				ended++
			}
			if killed.IsZero() && len(e.screen.text) == killAfter {
				killed = time.Now()
				d.kill(ctx)
			}
		}
	}

	return d.compare(ctx)
}

func (d *scene) post(ctx context.Context) error {
	url := d.system.Inputs()[0] + "/v1/sessions/" + demoSession + "/turns"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(demoPrompt))
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("post turn: %s", response.Status)
	}
	d.say("you", demoPrompt)

	return nil
}

// kill kills the worker that writes, and comes back before it is started again.
func (d *scene) kill(ctx context.Context) {
	for _, s := range d.screens {
		d.flush(s)
	}
	worker := d.system.Busiest(plan.LLM)
	killing, cancel := context.WithCancel(ctx)
	cancel()
	id := d.system.Kill(killing, worker, demoRestart)
	d.say("", fmt.Sprintf("kill -9 %d: %s is dead, in the middle of the answer", id, worker))
}

// show puts an event on a screen. The screen prints whole lines.
func (d *scene) show(s *screen, e stream.Event) {
	const width = 60
	switch e.Kind {
	case stream.KindChunk:
		s.text = append(s.text, string(e.Chunk.Data))
		if s.line += strings.ReplaceAll(string(e.Chunk.Data), "\n", " "); len(s.line) > width {
			d.flush(s)
		}
	case stream.KindSuperseded:
		d.flush(s)
		d.say(s.name, fmt.Sprintf("↺ what was shown from word %d on is replaced", e.From+1))
		s.text = s.text[:e.From]
	case stream.KindEnd:
		d.flush(s)
		s.state = e.End.State
		d.say(s.name, "■ "+string(s.state))
	case stream.KindOpened:
	}
}

func (d *scene) flush(s *screen) {
	if s.line != "" {
		d.say(s.name, s.line)
		s.line = ""
	}
}

func (d *scene) say(who, text string) {
	fmt.Fprintf(d.out, "%6.2fs %-7s│ %s\n", time.Since(d.begun).Seconds(), who, text)
}

var errDiffer = errors.New("the screens don't show what they must")

// compare checks that the screens of the model's answer show it, and that of the service what it makes of it.
func (d *scene) compare(ctx context.Context) error {
	pieces, err := hook.Pieces(ctx, demoPrompt)
	if err != nil {
		return err
	}
	answer := strings.Join(pieces, "")
	for _, s := range d.screens {
		text, want := strings.Join(s.text, ""), answer
		if s.target == "" {
			want = strings.ToUpper(answer)
		}
		d.say(s.name, fmt.Sprintf("%d words, sha256 %.12x", len(s.text), sha256.Sum256([]byte(strings.ToLower(text)))))
		if text != want || s.state != bus.Completed {
			return fmt.Errorf("%s: %w", s.name, errDiffer)
		}
	}
	d.say("", "all screens show the same, complete text (the relay's in capitals)")

	return nil
}
