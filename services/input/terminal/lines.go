package terminal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// DefaultMaxPrompt is the longest prompt in bytes that a source accepts by default: the largest chunk of a stream.
const DefaultMaxPrompt = 16 << 20

const lineBuffer = 64 << 10

// TooLongError says that a line of the input is longer than a prompt may be. Lines before it were asked.
type TooLongError struct {
	// Line is the number of the line, from 1; Limit is the longest line in bytes that is accepted.
	Line, Limit int
}

// Error implements error: what is wrong and what to do.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("line %d of the input is longer than %d bytes; shorten it, or post it over HTTP as a streamed body",
		e.Line, e.Limit)
}

// Lines is a [Source] that takes each line of a reader as a prompt. Lines end with LF or CRLF, the last one may lack
// it; blank lines are skipped; all other bytes are kept as they are. It is not safe for concurrent use.
type Lines struct {
	in    *bufio.Reader
	limit int
	line  int
	err   error
}

// NewLines returns the lines of in as prompts. A line may have up to limit bytes without its end; zero stands for
// [DefaultMaxPrompt].
func NewLines(in io.Reader, limit int) *Lines {
	if limit == 0 {
		limit = DefaultMaxPrompt
	}

	return &Lines{in: bufio.NewReaderSize(in, lineBuffer), limit: limit}
}

// Next returns the next line that is not blank. It returns a [*TooLongError] for a line above the limit, and again on
// every later call: what follows such a line is not read.
func (l *Lines) Next(ctx context.Context) (string, error) { return await(ctx, l.next) }

func (l *Lines) next() (string, error) {
	for l.err == nil {
		line, err := l.read()
		l.err = err

		if len(bytes.TrimSpace(line)) > 0 {
			return string(line), nil
		}
	}

	return "", l.err
}

// read returns a line without its end. The last line of the input comes together with io.EOF.
func (l *Lines) read() ([]byte, error) {
	l.line++

	var line []byte

	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part...)

		if len(trimEnd(line)) > l.limit {
			return nil, &TooLongError{Line: l.line, Limit: l.limit}
		}

		if !errors.Is(err, bufio.ErrBufferFull) {
			return trimEnd(line), err
		}
	}
}

// trimEnd removes one line end.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
