package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// errSignal is the cause of a context that a signal ended.
var errSignal = errors.New("ended by a signal")

// exitSignal is the exit code of a program that a person ended with Ctrl-C.
const exitSignal = 130

// interrupts decides what Ctrl-C means. At first it ends the program; while a conversation waits for an answer, it
// cancels the answer, and only the next one ends the program. SIGTERM always ends it.
type interrupts struct {
	mu     sync.Mutex
	cancel func() // of the answer under way; nil when there is none
}

// watch returns a context that ends with the program. The caller calls stop at the end.
func (i *interrupts) watch(ctx context.Context) (watched context.Context, stop func()) {
	watched, end := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)

	over, done := make(chan struct{}), make(chan struct{})

	go func() {
		defer close(done)

		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM || !i.take() {
					signal.Stop(signals) // the next one ends the process at once
					end(errSignal)
				}
			case <-over:
				return
			}
		}
	}()

	return watched, func() {
		signal.Stop(signals)
		close(over)
		<-done
		end(nil)
	}
}

// take cancels the answer under way and reports whether there was one that was not cancelled yet.
func (i *interrupts) take() bool {
	i.mu.Lock()
	defer i.mu.Unlock()

	if i.cancel == nil {
		return false
	}

	i.cancel()
	i.cancel = nil

	return true
}

// answering makes Ctrl-C call cancel, once, until the returned function is called.
func (i *interrupts) answering(cancel func()) (over func()) {
	set := func(f func()) {
		i.mu.Lock()
		defer i.mu.Unlock()

		i.cancel = f
	}
	set(cancel)

	return func() { set(nil) }
}
