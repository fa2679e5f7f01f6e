package operator

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// wire is a connection to a nats-server.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

// answer is what all answers of JetStream have that are of interest here.
type answer struct {
	Config map[string]json.RawMessage `json:"config"`
	Error  struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	} `json:"error"`
}

const inbox = "_INBOX.operator"

// openWire greets the server and subscribes to answers.
func openWire(conn net.Conn) (*wire, error) {
	w := &wire{conn, bufio.NewReader(conn)}
	if _, err := w.in.ReadString('\n'); err != nil { // what the server says of itself
		return nil, err
	}
	_, err := io.WriteString(conn, "CONNECT {\"verbose\":false,\"name\":\"operator\"}\r\nSUB "+inbox+" 1\r\n")

	return w, err
}

// ask sends a request to JetStream and waits for its answer.
func (w *wire) ask(what string, body []byte) (answer, error) {
	var a answer
	if _, err := fmt.Fprintf(w.conn, "PUB $JS.API.%s %s %d\r\n%s\r\n", what, inbox, len(body), body); err != nil {
		return a, err
	}
	text, err := w.message()
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("%s: %w", what, err)
	}
	if a.Error.Code != 0 {
		return a, fmt.Errorf("%s: %w: %s", what, errAnswer, a.Error.Description)
	}

	return a, nil
}

// message returns the body of the next message.
func (w *wire) message() ([]byte, error) {
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "+OK" || words[0] == "INFO" || words[0] == "PONG":
		case words[0] == "PING":
			if _, err := io.WriteString(w.conn, "PONG\r\n"); err != nil {
				return nil, err
			}
		case words[0] == "MSG":
			n, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return nil, fmt.Errorf("%w: %q", errAnswer, line)
			}
			body := make([]byte, n+len("\r\n"))
			_, err = io.ReadFull(w.in, body)

			return body[:n], err
		default: // also an answer of JetStream that it doesn't run yet, which is a message with headers
			return nil, fmt.Errorf("%w: %q", errAnswer, line)
		}
	}
}
