package load

import (
	"io"
	"time"
)

// watched is a body that says with each read that its sender is alive.
type watched struct {
	io.Reader

	alive *time.Timer
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.alive.Reset(silence)

	return n, err
}
