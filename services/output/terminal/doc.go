// Package terminal prints the answers of a session to a terminal or into a pipe.
//
// An answer lives like this: a [Printer] takes the session's events from a follower and feeds them to a [Renderer].
// On a terminal each chunk is printed at once, without what would control the terminal; when an attempt is superseded,
// a line says so and the answer is printed anew. What is in a pipe can't be taken back, so an answer goes there when
// it has ended, once, its bytes unchanged. How an answer ended badly is told on a writer of its own, standard error.
//
// A [Bookmark] keeps how far a reader has printed, on the bus beside the session, so that a restarted output goes on
// where it was.
//
// File map: renderer.go events into text; answer.go the text of one answer; clean.go harmless text for terminals;
// printer.go following a session; bookmark.go how far a
// reader is; stdio.go standard output and error.
package terminal
