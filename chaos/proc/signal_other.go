//go:build !unix

package proc

// Pause can't be done here.
func (*Process) Pause() {}

// Resume has nothing to do here.
func (*Process) Resume() {}

func (p *Process) kill() { _ = p.cmd.Process.Kill() } // it may have just ended
