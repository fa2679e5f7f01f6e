package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Spec says which program to run.
type Spec struct {
	// Path of the program and its arguments.
	Path string
	Args []string
	// Env is the whole environment. Defaults to none.
	Env []string
	// Log is the file to which everything is appended that the program prints.
	Log string
}

// Process is a running program. All methods may be called concurrently.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs a program in a process group of its own. Whoever starts it must end it with Kill.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	const readable = 0o600
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, readable)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()                                              // the process has its own
	cmd := exec.CommandContext(context.WithoutCancel(ctx), spec.Path, spec.Args...) //nolint:gosec // the caller's own program
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = spec.Env, log, log, attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // how it ended is known to whoever ended it
	}()

	return p, nil
}

// ID returns the process's number.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the process and its children at once and waits for it.
func (p *Process) Kill() {
	p.kill()
	<-p.exited
}
