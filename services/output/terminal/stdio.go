package terminal

import (
	"os"

	"golang.org/x/term"
)

// Stdio returns the configuration that fits two files, usually standard output and error: a screen when out is a
// terminal. noColor is the environment variable NO_COLOR, which makes it plain unless it is empty.
func Stdio(out, notices *os.File, noColor string) Config {
	return Config{
		Out:     out,
		Notices: notices,
		Screen:  term.IsTerminal(int(out.Fd())),
		Plain:   noColor != "",
	}
}
