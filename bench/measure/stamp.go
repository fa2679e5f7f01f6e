package measure

import (
	"encoding/binary"
	"time"
)

const stampSize = 8

// Stamp returns a message that carries a time and is as long as text, at least 8 bytes.
func Stamp(at time.Time, text string) []byte {
	m := make([]byte, max(stampSize, len(text)))
	copy(m, text)
	binary.LittleEndian.PutUint64(m, uint64(at.UnixNano()))

	return m
}

// Since returns how long ago the time of a message was.
func Since(m []byte) time.Duration {
	return time.Duration(time.Now().UnixNano() - int64(binary.LittleEndian.Uint64(m)))
}
