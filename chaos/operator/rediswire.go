package operator

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// command sends one command and returns the parts of its answer, each as text.
func command(c net.Conn, args ...string) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return nil, err
	}

	return reply(bufio.NewReader(c))
}

// reply reads an answer: a line, a number, a text, or a list of those.
func reply(in *bufio.Reader) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	switch line[0] {
	case '+', ':':
		return []string{strings.TrimSpace(line[1:])}, nil
	case '$', '*':
	default:
		return nil, fmt.Errorf("%w: %q", errAnswer, line)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%w: %q", errAnswer, line)
	}
	if line[0] == '$' {
		text := make([]byte, n+len("\r\n"))
		_, err := io.ReadFull(in, text)

		return []string{string(text[:n])}, err
	}
	var all []string
	for range n {
		part, err := reply(in)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}

	return all, nil
}
