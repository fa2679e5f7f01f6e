package wire

import (
	"hash/crc32"
	"sync"
)

// Checksum returns the CRC-32C of texts, each of which ends with a zero byte, and then of a body. write appends the texts
// with [Text] to what it is given: in one piece the processor sums them up as fast as they are copied.
func Checksum(body []byte, write func(texts []byte) []byte) uint32 {
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = write((*buf)[:0])
	table := crc32.MakeTable(crc32.Castagnoli)

	return crc32.Update(crc32.Checksum(*buf, table), table, body)
}

// Text appends a text that a checksum covers.
func Text[T string | []byte](texts []byte, text T) []byte {
	texts = append(texts, text...)

	return append(texts, 0)
}

// buffers are for the texts of checksums.
var buffers = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // a cache

// CRCDigits is the length of a checksum as it is written.
const CRCDigits = 8

// AppendCRC appends a checksum as 8 hexadecimal digits.
func AppendCRC(out []byte, crc uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (CRCDigits - 1); shift >= 0; shift -= 4 {
		out = append(out, digits[crc>>shift&15])
	}

	return out
}
