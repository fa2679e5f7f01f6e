package bustest

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// script returns n frames that make up one stream as writers write it: several attempts that begin where they resume
// or before, frames of one or more chunks and chunks in parts, and a final frame.
func script(id bus.StreamID, seed uint64, n int) []*bus.Frame {
	g := &scripter{id: id, rnd: rand.New(rand.NewPCG(seed, 1))}

	for len(g.frames) < n-1 {
		switch {
		case len(g.frames)%(n/5+1) == 0 && !g.partial:
			g.begin()
		case g.partial || g.rnd.IntN(10) == 0:
			g.part()
		default:
			g.chunks(1 + g.rnd.IntN(4))
		}
	}

	if g.partial {
		g.begin()
	}

	f := g.next(0)
	f.State, f.Meta = bus.Completed, map[string]string{"chunks": strconv.FormatUint(f.First, 10)}
	g.frames = append(g.frames, f)

	return g.frames
}

type scripter struct {
	id      bus.StreamID
	rnd     *rand.Rand
	frames  []*bus.Frame
	attempt uint32
	cursor  bus.Cursor
	offset  int
	partial bool
}

// next returns a frame of n chunks at the cursor.
func (g *scripter) next(n int) *bus.Frame {
	f := &bus.Frame{
		ID: g.id, Attempt: g.attempt, Writer: fmt.Sprint("writer-", g.attempt), First: g.cursor.Index, Type: bus.Binary,
	}

	for range n {
		f.Lengths = append(f.Lengths, g.rnd.IntN(6))
	}

	for _, l := range f.Lengths {
		for range l {
			f.Body = append(f.Body, byte(g.rnd.IntN(256)))
		}
	}

	return f
}

func (g *scripter) add(f *bus.Frame) {
	g.frames = append(g.frames, f)
	g.cursor = f.End()
	g.partial = f.More
	g.offset = 0

	if f.More {
		g.offset = f.Offset + len(f.Body)
	}
}

func (g *scripter) chunks(n int) { g.add(g.next(n)) }

func (g *scripter) part() {
	f := g.next(1)
	if len(f.Body) == 0 { // Without a byte a part could be missed without a gap.
		f.Lengths, f.Body = []int{1}, []byte{'.'}
	}

	f.Offset = g.offset
	f.More = g.rnd.IntN(3) > 0
	g.add(f)
}

// begin starts the next attempt, half of the time at the end and else at any chunk before.
func (g *scripter) begin() {
	after := g.cursor
	g.attempt++

	if g.rnd.IntN(2) == 0 {
		g.cursor.Index = g.rnd.Uint64N(g.cursor.Index + 1)
	}

	f := g.next(g.rnd.IntN(2))
	f.Begin, f.After = true, after
	g.add(f)
}
