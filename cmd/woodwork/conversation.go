package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/input/terminal"
	printing "github.com/woodwork-go/woodwork/services/output/terminal"
	"github.com/woodwork-go/woodwork/subjects"
)

// conversation is a chat in one session: prompts go in by one connection and answers come out by another.
type conversation struct {
	session, once string
	to            string
	policy        framework.PostPolicy
}

func (c *conversation) register(fs *flag.FlagSet) {
	fs.StringVar(&c.session, "session", "", "`id` of the session to continue (default: a new one)")
	fs.TextVar(&c.policy, "policy", framework.Queue,
		"what prompts do when the session has a turn that is not done: queue, interrupt or reject")
	fs.StringVar(&c.once, "once", "", "ask this one `prompt`, print its answer, and exit")
}

// Mistakes in the flags of a conversation.
var (
	errBlank    = errors.New("-once: the prompt is empty; write what to ask")
	errReserved = errors.New("-session: ids that begin with '_' are reserved; choose another")
)

// complete fills in what the flags leave open. to lists the components that the output of a service goes to; for a
// conversation it is the component that gets the prompts.
func (c *conversation) complete(to []string) error {
	if c.once != "" && strings.TrimSpace(c.once) == "" {
		return &framework.UsageError{Err: errBlank}
	}

	if c.session == "" {
		c.session = rand.Text()
	}

	if err := subjects.CheckID("-session", c.session); err != nil {
		return &framework.UsageError{Err: err}
	}

	if subjects.Reserved(c.session) {
		return &framework.UsageError{Err: errReserved}
	}

	c.to = "llm"
	if len(to) > 0 {
		c.to = to[0]
	}

	return nil
}

// hold asks the prompts that come from s and prints their answers to it, until there are no more.
func (c *conversation) hold(ctx context.Context, s streams, input, output *framework.Client) error {
	follower, err := output.Follow(ctx, stream.FollowConfig{Session: c.session, New: true})
	if err != nil {
		return err
	}
	defer follower.Close()

	printer := printing.NewPrinter(follower, printing.NewRenderer(printing.Stdio(s.out, s.err, s.env("NO_COLOR"))))

	var cancelling sync.WaitGroup
	defer cancelling.Wait()

	ask := func(ctx context.Context, prompt string) error {
		ref, err := c.post(ctx, input, prompt)
		if err != nil {
			return err
		}

		over := s.ctrlC.answering(func() { cancelling.Go(func() { cancelAnswer(ctx, input, ref, s) }) })
		end, err := printer.Answer(ctx, ref.Turn)

		over()

		if err != nil {
			return err
		}

		if end.State != bus.Completed {
			return &terminal.AnswerError{State: string(end.State), Reason: end.Reason}
		}

		return nil
	}

	if c.once != "" {
		return ask(ctx, c.once)
	}

	return terminal.Loop(ctx, terminal.Open(s.in, s.out, s.err), ask)
}

// postTimeout is how long the bus may take to store a prompt.
const postTimeout = 30 * time.Second

// errPost: the bus did not answer for so long.
var errPost = fmt.Errorf("the bus did not store the prompt within %v", postTimeout)

func (c *conversation) post(ctx context.Context, input *framework.Client, prompt string) (framework.Ref, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, postTimeout, errPost)
	defer cancel()

	ref, err := input.Post(ctx, framework.Post{Session: c.session, Component: c.to, Policy: c.policy}, []byte(prompt))
	if err != nil && errors.Is(context.Cause(ctx), errPost) {
		return ref, fmt.Errorf("%w: %w", errPost, err)
	}

	return ref, err
}

// cancelAnswer cancels a turn because the user wants it; its answer then ends as cancelled.
func cancelAnswer(ctx context.Context, c *framework.Client, ref framework.Ref, s streams) {
	if err := c.Cancel(ctx, ref, "cancelled by the user"); err != nil {
		fmt.Fprintln(s.err, "woodwork:", err)
	}
}

// greet says on standard error what the user talks to.
func (c *conversation) greet(s streams, info bus.Info, broker, model string) {
	fmt.Fprintf(s.err, "bus %s (%s), durability %s, model %s\nsession %s\n", info.URL, broker, info.Durability, model, c.session)
}
