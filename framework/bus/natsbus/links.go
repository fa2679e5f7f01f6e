package natsbus

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// Links let a reader find a stream's earlier frames by sequence, without a scan of the log that a hundred thousand
// other streams share. Frame number f, counted from 0 in its log, carries the sequences of
//
//	level 0: every frame in [16·⌊(f-1)/16⌋, f)
//	level k: every multiple of 16ᵏ from 16ᵏ⁺¹·⌊(f-1)/16ᵏ⁺¹⌋ up to where level k-1 begins
//
// so there are at most 16 links on level 0 and 15 on each other, and every earlier frame is reached over as many links
// as its distance has hexadecimal digits. In memory links are f followed by the sequences in ascending order.

const (
	radix     = 16
	radixBits = 4
)

// firstLinks returns the links of the first frame of a log.
func firstLinks() []uint64 { return []uint64{0} }

// noLinks are those of the first frame of a log as they are written.
const noLinks = "0"

// nextLinks returns the links of the frame that follows the frame with these links and this sequence. Counting works
// as in a hexadecimal number: a level that is full leaves only its first frame, to the level above.
func nextLinks(links []uint64, seq uint64) []uint64 {
	f := links[0]
	full := 0
	if f > 0 {
		full = bits.TrailingZeros64(f) / radixBits
	}
	keep := len(links) - full*(radix-1)
	next := make([]uint64, 0, keep+1)
	next = append(next, f+1)
	next = append(next, links[1:keep]...)

	return append(next, seq)
}

// linksBehind is nextLinks on links as they are written. Most often that is what is written already and one step more.
func linksBehind(links bus.Links, seq uint64) (bus.Links, error) {
	number, rest, some := strings.Cut(links.Text, ":")
	f, ok := parseUint(number, linkBase)
	if ok && some && f%radix != 0 && links.Last > 0 && links.Last < seq {
		var room [256]byte
		buf := strconv.AppendUint(room[:0], f+1, linkBase)
		buf = append(buf, ':')
		buf = append(buf, rest...)
		buf = append(buf, ',')
		buf = strconv.AppendUint(buf, seq-links.Last, linkBase)

		return bus.Links{Text: string(buf), Last: seq}, nil
	}
	all, ok := decodeLinks(links.Text)
	if !ok || len(all) > 1 && all[len(all)-1] >= seq {
		return bus.Links{}, corrupt(headerLinks)
	}

	return bus.Links{Text: encodeLinks(nextLinks(all, seq)), Last: seq}, nil
}

// linkNumber returns the number of the frame that carries links.
func linkNumber(links bus.Links) (uint64, error) {
	number, _, _ := strings.Cut(links.Text, ":")
	f, ok := parseUint(number, linkBase)
	if !ok {
		return 0, corrupt(headerLinks)
	}

	return f, nil
}

// linkCount returns how many links frame f carries.
func linkCount(f uint64) int {
	if f == 0 {
		return 0
	}
	n := 1
	for rest := f - 1; rest > 0; rest /= radix {
		n += int(rest % radix)
	}

	return n
}

// appendLinked appends the numbers of the frames that frame f links to, ascending: those that its sequences belong to.
func appendLinked(to []uint64, f uint64) []uint64 {
	if f == 0 {
		return to
	}
	rest := f - 1
	shift := 0
	for rest>>shift >= radix {
		shift += radixBits
	}
	for ; shift >= 0; shift -= radixBits {
		digit := rest >> shift % radix
		base := rest >> shift / radix * radix
		if shift == 0 {
			digit++
		}
		for i := range digit {
			to = append(to, (base+i)<<shift)
		}
	}

	return to
}

// linkBase is the base of the numbers in a header: short, and readable in any language.
const linkBase = 36

// encodeLinks writes links as "f:first,step,step,…" in base 36.
func encodeLinks(links []uint64) string {
	buf := make([]byte, 0, 8+len(links)*4)
	buf = strconv.AppendUint(buf, links[0], linkBase)
	sep := byte(':')
	last := uint64(0)
	for _, seq := range links[1:] {
		buf = append(buf, sep)
		buf = strconv.AppendUint(buf, seq-last, linkBase)
		sep, last = ',', seq
	}

	return string(buf)
}

// decodeLinks is the inverse of encodeLinks. It accepts nothing that encodeLinks doesn't write.
func decodeLinks(s string) ([]uint64, bool) {
	number, rest, some := strings.Cut(s, ":")
	f, ok := parseUint(number, linkBase)
	count := linkCount(f)
	if !ok || some != (count > 0) || len(rest) < 2*count-1 {
		return nil, false
	}
	links := make([]uint64, 1, count+1)
	links[0] = f
	last := uint64(0)
	for range count {
		number, rest, some = strings.Cut(rest, ",")
		step, ok := parseUint(number, linkBase)
		if !ok || step == 0 || last+step < last {
			return nil, false
		}
		last += step
		links = append(links, last)
	}

	return links, !some && rest == ""
}

// parseUint takes a number only as it is written.
func parseUint(s string, base int) (uint64, bool) { return wire.ParseUint(s, base) }
