package redisproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/chaos/proc"
)

const (
	// startTimeout bounds how long a server may take to load its data and answer.
	startTimeout = time.Minute
	// startTries is how many ports are tried when others take them first.
	startTries = 10
	pollEvery  = 10 * time.Millisecond
	ownerOnly  = 0o600
	logFile    = "redis.log"
	configFile = "redis.conf"
)

var (
	errExited  = errors.New("the server ended")
	errTaken   = errors.New("the port is taken")
	errRunning = errors.New("the server is running")
)

// Server is a redis-server process. Its methods must not be called concurrently, except for URL and Addr.
type Server struct {
	cfg     Config
	addr    string
	process *proc.Process
}

// Start starts a server and returns when it answers. Whoever starts it must end it with Kill or Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	var err error

	s := &Server{cfg: cfg}
	for range startTries {
		if s.addr, err = s.choose(ctx); err != nil {
			return nil, err
		}

		if err = s.Start(ctx); !errors.Is(err, errTaken) {
			break
		}
	}

	if err != nil {
		return nil, err
	}

	return s, nil
}

func (s *Server) choose(ctx context.Context) (string, error) {
	if s.cfg.Socket != "" {
		return s.cfg.Socket, nil
	}

	return proc.FreeAddress(ctx)
}

// Spec writes the settings of a server at addr and returns the program that reads them, for those who keep processes
// themselves.
func (c *Config) Spec(addr string) (proc.Spec, error) {
	path, err := Find()
	if err != nil {
		return proc.Spec{}, err
	}

	text, err := c.file(addr)
	if err != nil {
		return proc.Spec{}, fmt.Errorf("start %s: %w", program, err)
	}

	file := filepath.Join(c.Dir, configFile)
	if err := os.WriteFile(file, []byte(text), ownerOnly); err != nil {
		return proc.Spec{}, fmt.Errorf("start %s: %w", program, err)
	}

	return proc.Spec{Path: path, Args: []string{file}, Log: filepath.Join(c.Dir, logFile)}, nil
}

// URL returns where clients find the server, with its password.
func (s *Server) URL() string { return s.cfg.URL(s.addr) }

// Addr returns host and port, or the path of the socket.
func (s *Server) Addr() string { return s.addr }

// Start starts a server that was ended again, on the same address and data, and returns when it answers.
func (s *Server) Start(ctx context.Context) error {
	if s.process != nil {
		return fmt.Errorf("start %s: %w", program, errRunning)
	}

	spec, err := s.cfg.Spec(s.addr)
	if err != nil {
		return err
	}

	if err := os.Remove(spec.Log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start %s: %w", program, err)
	}

	s.process, err = proc.Start(ctx, spec)
	if err != nil {
		return err
	}

	if err := s.ready(ctx); err != nil {
		s.Kill()

		return fmt.Errorf("start %s at %s: %w", program, s.addr, explain(err, spec.Log))
	}

	return nil
}

// ready returns when the server answers, and an error when it ends first.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	poll := time.NewTicker(pollEvery)
	defer poll.Stop()

	for {
		err := s.cfg.ping(ctx, s.addr)

		select {
		case <-s.process.Exited():
			return errExited // if something answers at this address, it is another
		default:
		}

		if err == nil {
			return nil
		}

		select {
		case <-s.process.Exited():
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("%w; last try: %w", context.Cause(ctx), err)
		}
	}
}

// explain adds to err what the server said itself.
func explain(err error, log string) error {
	text, readErr := os.ReadFile(log) //nolint:gosec // the log of a server started here
	if readErr != nil {
		return errors.Join(err, readErr)
	}

	if strings.Contains(string(text), "Address already in use") {
		err = errTaken
	}

	return fmt.Errorf("%w; it said:\n%s", err, text)
}

// Kill ends the server at once, as a crash does. It does nothing when the server doesn't run.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.Kill()
		s.process = nil
	}
}

// Stop lets the server finish its log and end. It does nothing when the server doesn't run.
func (s *Server) Stop(ctx context.Context) error {
	if s.process == nil {
		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := s.cfg.command(ctx, s.addr, "", "SHUTDOWN"); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("stop %s: %w", program, err)
	}

	select {
	case <-s.process.Exited():
		s.process = nil

		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", program, context.Cause(ctx))
	}
}

// Pause stops the server's execution until Resume, so that its clients wait without being told anything.
func (s *Server) Pause() {
	if s.process != nil {
		s.process.Pause()
	}
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	if s.process != nil {
		s.process.Resume()
	}
}
