// Package clock gives a process of a fault run a clock that its run may set: a wall clock that goes wrong, and a
// monotonic clock that stands still while the process is suspended, as that of a suspended machine does.
//
// Nothing from outside reaches the clock of a Go program: libfaketime replaces functions of the C library, which Go does
// not call for the time even in a program that is linked with it, and a time namespace has no wall clock. So the
// programs of a run are built with Go's own -overlay: two files of the standard library are replaced by copies of
// themselves that add what a small shared file says, and one is added that maps the file. The code under test is the
// same; a program that is not told of a file has the clock of its machine.
//
// File map: overlay.go builds; clock.go sets; time.txt and runtime.txt are added to the standard library.
package clock
