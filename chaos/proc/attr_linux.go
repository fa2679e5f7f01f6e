package proc

import "syscall"

// attributes puts a process into a group of its own, and lets the system kill it when this program dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
