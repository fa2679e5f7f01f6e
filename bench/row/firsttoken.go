package row

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	input "github.com/woodwork-go/woodwork/services/input/web"
	"github.com/woodwork-go/woodwork/services/llm/answer"
	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/openai"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
	output "github.com/woodwork-go/woodwork/services/output/web"

	"github.com/woodwork-go/woodwork/bench/measure"
	"github.com/woodwork-go/woodwork/bench/report"
)

// firstToken measures from the prompt's HTTP request to the first token of the answer in an event stream, over the input,
// the llm and the output service with a connection each, and compares it with asking the provider directly with the same
// client. What it adds is the difference of the medians.
func firstToken(ctx context.Context, e *Env, out *report.Report) error {
	url, err := e.nats(ctx)
	if err != nil {
		return err
	}

	model := providertest.New(speak)
	e.onClose(func() error {
		model.Close()

		return nil
	})

	pipeline, err := e.startPipeline(ctx, url, model.URL())
	if err != nil {
		return err
	}
	defer pipeline.stop()

	asked := openai.New(openai.Config{URL: model.URL(), Model: providertest.Model})
	direct, through := measure.NewLatency(), measure.NewLatency()

	for i := range e.pick(500, 3_000) {
		if err := ask(ctx, asked, direct); err != nil {
			return err
		}

		if err := pipeline.ask(ctx, i, through); err != nil {
			return err
		}
	}

	const name = "first token"

	out.Add(name, "the provider asked directly", millis("p50 ms", direct.P(median)), millis("p99 ms", direct.P(tail)))
	out.Add(name, "through input, llm and output over HTTP", millis("p50 ms", through.P(median)), millis("p99 ms", through.P(tail)))
	out.Set("first_token_overhead_vs_direct", millis("", through.P(median)-direct.P(median)).Value)

	return nil
}

// speak is a provider that answers with two tokens.
func speak(c *providertest.Conn) {
	d := providertest.OpenAI()

	c.Events()
	c.Send(d.Start(1), d.Delta("Hello"), d.Delta(" there"), d.Finish("stop", 1, 2)) //nolint:mnd // tokens in and out
}

// ask asks the provider for one answer.
func ask(ctx context.Context, m provider.Model, took *measure.Latency) error {
	begun, first := time.Now(), time.Duration(0)

	_, err := m.Stream(ctx, provider.Request{Messages: []provider.Message{{Role: provider.User, Text: "Hi"}}}, func(string) error {
		if first == 0 {
			first = time.Since(begun)
		}

		return nil
	})
	if err != nil {
		return fmt.Errorf("ask the provider: %w", err)
	}

	took.Add(first)

	return nil
}

// pipeline is the three services, each with a bus of its own.
type pipeline struct {
	prompts, events string // base URLs
	stop            func()
}

func (e *Env) startPipeline(ctx context.Context, url, model string) (*pipeline, error) {
	ctx, cancel := context.WithCancel(ctx)

	var listen net.ListenConfig

	prompts, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()

		return nil, fmt.Errorf("listen: %w", err)
	}

	events, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()

		return nil, fmt.Errorf("listen: %w", err)
	}

	settings := answer.Settings{Provider: "openai", BaseURL: model, Model: providertest.Model}
	if err := settings.Check(); err != nil {
		cancel()

		return nil, fmt.Errorf("set up the model: %w", err)
	}

	services := []framework.Service{
		settings.Service(),
		{Name: "input", Run: func(ctx context.Context, c *framework.Client) error {
			return input.Serve(ctx, prompts, c, input.Config{}) //nolint:wrapcheck // it says what it was doing
		}},
		{Name: "output", Run: func(ctx context.Context, c *framework.Client) error {
			return output.Serve(ctx, events, c, output.Config{}) //nolint:wrapcheck // it says what it was doing
		}},
	}
	ended := make(chan struct{})

	for _, s := range services {
		var b bus.Bus
		if b, err = e.bus(ctx, url); err != nil {
			break
		}

		go func() {
			_ = framework.Run(ctx, s, framework.Config{Bus: b, Drain: time.Second}) // who waits for it sees that it ended
			ended <- struct{}{}
		}()
	}

	return &pipeline{
		prompts: "http://" + prompts.Addr().String(), events: "http://" + events.Addr().String(),
		stop: func() {
			cancel()

			for range services {
				<-ended
			}
		},
	}, err
}

// ask opens the event stream of a session, posts a prompt, and waits for the end of its answer.
func (p *pipeline) ask(ctx context.Context, i int, took *measure.Latency) error {
	session := fmt.Sprint("/v1/sessions/s", i)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.events+session+"/events", http.NoBody)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	defer response.Body.Close()

	begun := time.Now()

	if err := p.post(ctx, session); err != nil {
		return err
	}

	first := true

	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		switch line := lines.Text(); {
		case first && strings.HasPrefix(line, "event: chunk"):
			took.Add(time.Since(begun))

			first = false
		case strings.HasPrefix(line, "event: end"):
			return nil
		}
	}

	return fmt.Errorf("the answer in %s: %w", session, errIncomplete)
}

func (p *pipeline) post(ctx context.Context, session string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.prompts+session+"/turns", strings.NewReader("Hi"))
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}

	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("post: %s: %w", response.Status, errIncomplete)
	}

	return nil
}
