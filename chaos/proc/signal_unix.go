//go:build unix

package proc

import "syscall"

// Pause stops the process until Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) kill() { p.signal(syscall.SIGKILL) }

// signal reaches the whole group of the process. It does nothing after the process has ended, whose number may be
// another's by then.
func (p *Process) signal(s syscall.Signal) {
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may have just ended
	}
}
