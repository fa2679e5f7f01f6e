// Probe asks a URL and exits with 0 when the answer is 200. It is the health check of images that hold neither a shell
// nor curl, for programs that have no such command of their own.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const timeout = 2 * time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "usage: probe URL")

		return 2
	}

	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	if err := probe(ctx, args[0]); err != nil {
		fmt.Fprintln(stderr, "probe:", err)

		return 1
	}

	return 0
}

// statusError is an answer other than 200.
type statusError string

func (e statusError) Error() string { return "answered " + string(e) }

func probe(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("read URL: %w", err)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return statusError(response.Status)
	}

	return nil
}
