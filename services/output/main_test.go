package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// programs are the compiled services and the environment that leads them to a server with a component "echo".
type programs struct {
	input, output string
	env           []string
}

// TestProcesses runs input and output as what they are: programs.
func TestProcesses(t *testing.T) {
	t.Parallel()

	input, output := build(t)
	p := programs{input, output, pipeline(t)}

	t.Run("prompts are answered in order and an output goes on after a restart", func(t *testing.T) {
		t.Parallel()
		p.testOrderAndRestart(t)
	})
	t.Run("prompts and answers over HTTP", func(t *testing.T) {
		t.Parallel()
		p.testHTTP(t)
	})
	t.Run("wrong use is one line that says what to do", func(t *testing.T) {
		t.Parallel()
		p.testWrongUse(t)
	})
}

// build compiles the input and output services.
func build(t *testing.T) (input, output string) {
	t.Helper()

	dir := t.TempDir()

	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "../input", "../output")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped

	if report, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, report)
	}

	return filepath.Join(dir, "input"), filepath.Join(dir, "output")
}

// echo is a component that answers with the prompt.
func echo(ctx context.Context, turn *framework.Turn) error {
	for chunk, err := range turn.Input.Chunks(ctx) {
		if err != nil {
			return err
		}

		if err := turn.Output.Send(ctx, chunk.Data); err != nil {
			return err
		}
	}

	return nil
}

// pipeline runs a server and a component, and returns the environment that leads a process there.
func pipeline(t *testing.T) []string {
	t.Helper()

	url := embeddedtest.Run(t).URL()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)

	go func() {
		done <- framework.Run(ctx, framework.Service{Name: "echo", Handler: echo}, framework.Config{URL: url})
	}()

	t.Cleanup(func() {
		stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return append(os.Environ(), "NATS_URL="+url, "WOODWORK_LOG_LEVEL=error")
}

// process is a running program whose standard output is read line by line.
type process struct {
	*exec.Cmd

	out *bufio.Reader
	err *bytes.Buffer
}

func start(t *testing.T, env []string, in io.Reader, name string, args ...string) *process {
	t.Helper()

	p := &process{Cmd: exec.CommandContext(t.Context(), name, args...), err: new(bytes.Buffer)}
	p.Env, p.Stdin, p.Stderr = env, in, p.err

	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	p.out = bufio.NewReader(out)

	if err := p.Start(); err != nil {
		t.Fatal(err)
	}

	return p
}

// end waits for the process to exit and returns its code and what is left of its standard output.
func (p *process) end(t *testing.T) (int, string) {
	t.Helper()

	rest, err := io.ReadAll(p.out)
	if err != nil {
		t.Error(err)
	}

	exit := (*exec.ExitError)(nil)
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}

	return p.ProcessState.ExitCode(), string(rest)
}

func (p *process) terminate(t *testing.T) {
	t.Helper()

	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

func (p *process) line(t *testing.T) string {
	t.Helper()

	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("read %s: %v; its stderr:\n%s", filepath.Base(p.Path), err, p.err)
	}

	return line
}

func (p programs) testOrderAndRestart(t *testing.T) {
	ask := func(prompts string) {
		asking := start(t, p.env, strings.NewReader(prompts), p.input, "-to", "echo", "-session", "s1")
		if code, out := asking.end(t); code != 0 || out != "" || asking.err.Len() > 0 {
			t.Fatalf("input: code %d, stdout %q, stderr %q", code, out, asking.err)
		}
	}

	shown := start(t, p.env, nil, p.output, "-session", "s1")

	ask("first 漢\r\n\nsecond \xff\n")

	for _, want := range []string{"first 漢\n", "second \xff\n"} {
		if got := shown.line(t); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
	}

	shown.terminate(t)

	if code, rest := shown.end(t); code != 0 || rest != "" || shown.err.Len() > 0 {
		t.Errorf("output: code %d, more output %q, stderr %q", code, rest, shown.err)
	}

	ask("third")

	shown = start(t, p.env, nil, p.output, "-session", "s1")
	if got := shown.line(t); got != "third\n" {
		t.Errorf("after a restart: %q, want only what is new", got)
	}

	shown.terminate(t)
	shown.end(t)
}

func (p programs) testHTTP(t *testing.T) {
	in, out := freeAddress(t), freeAddress(t)

	posting := start(t, p.env, nil, p.input, "-http", in, "-to", "echo", "-events-url", "http://"+out)
	reading := start(t, append(slices.Clip(p.env), "WOODWORK_HTTP="+out), nil, p.output)

	defer func() {
		for _, edge := range []*process{posting, reading} {
			edge.terminate(t)

			if code, _ := edge.end(t); code != 0 || edge.err.Len() > 0 {
				t.Errorf("%s: code %d, stderr %q", filepath.Base(edge.Path), code, edge.err)
			}
		}
	}()

	post := call(t, http.MethodPost, "http://"+in+"/v1/sessions/s%201/turns", "hello")

	_, rest, _ := strings.Cut(post, `"events":"`)
	events, _, _ := strings.Cut(rest, `"`)

	got := call(t, http.MethodGet, events, "")
	if !strings.Contains(got, `"text":"hello"`) || !strings.Contains(got, "event: end\n") {
		t.Errorf("events at %s:\n%s", events, got)
	}
}

// call sends a request, again while the server is not there yet, and returns the whole answer.
func call(t *testing.T, method, url, body string) string {
	t.Helper()

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	for {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}

		response, err := client.Do(r)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}

		if err != nil {
			t.Fatal(err)
		}

		text, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}

		return string(text)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	return l.Addr().String()
}

func (p programs) testWrongUse(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	})

	for name, tc := range map[string]struct {
		program string
		args    []string
		in      io.Reader
		code    int
		says    string
	}{
		"unknown flag":      {p.input, []string{"-nonsense"}, nil, 2, "run input -h"},
		"bad session":       {p.input, []string{"-session", "a.b"}, nil, 2, "letters"},
		"reserved session":  {p.output, []string{"-session", "_timeline"}, nil, 2, "choose another"},
		"bad reader":        {p.output, []string{"-reader", "a b"}, nil, 2, "letters"},
		"long reader":       {p.output, []string{"-reader", strings.Repeat("x", 60)}, nil, 2, "at most"},
		"no heartbeat":      {p.output, []string{"-heartbeat", "0s"}, nil, 2, "15s"},
		"two targets":       {p.input, []string{"-to", "a,b"}, nil, 2, "one name"},
		"bad events URL":    {p.input, []string{"-events-url", "localhost:8081"}, nil, 2, "http://host:port"},
		"no body":           {p.input, []string{"-max-body", "0"}, nil, 2, "above 0"},
		"input port taken":  {p.input, []string{"-http", taken.Addr().String()}, nil, 1, "choose another address"},
		"output port taken": {p.output, []string{"-http", taken.Addr().String()}, nil, 1, "choose another address"},
		"20 MiB prompt":     {p.input, []string{"-to", "echo"}, strings.NewReader(strings.Repeat("x", 20<<20)), 1, "16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			wrong := start(t, p.env, tc.in, tc.program, tc.args...)

			code, out := wrong.end(t)
			told := wrong.err.String()
			if oneLine := strings.Count(told, "\n") == 1; code != tc.code || out != "" || !oneLine || !strings.Contains(told, tc.says) {
				t.Errorf("code %d, stdout %q, stderr %q; want code %d and a line with %q", code, out, told, tc.code, tc.says)
			}
		})
	}
}
