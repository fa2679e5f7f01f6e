package stream

// window holds the chunks of a writer that are not stored yet, as one run of bytes. The slices it gives out are never
// written to again, so frames and readers may keep them.
type window struct {
	bytes []byte // the chunks, without the first offset bytes of the first one
	sizes []int  // the chunks' whole lengths
	first uint64 // index of the first chunk that is not stored
	// offset is how many bytes of the first chunk are stored already, in parts.
	offset int
}

// slice is what goes into one frame: some whole chunks, or a part of one.
type slice struct {
	body   []byte
	sizes  []int
	first  uint64
	offset int
	more   bool
}

// next returns the index of the chunk that is added next.
func (w *window) next() uint64 { return w.first + uint64(len(w.sizes)) }

// fits reports whether a chunk of this size may be added. An empty window takes any.
func (w *window) fits(size int, cfg *Config) bool {
	return len(w.sizes) == 0 || len(w.sizes) < cfg.WindowChunks && len(w.bytes)+size <= cfg.WindowBytes
}

// add copies a chunk into the window.
func (w *window) add(data []byte) {
	w.bytes = append(w.bytes, data...)
	w.sizes = append(w.sizes, len(data))
}

// drop forgets all chunks.
func (w *window) drop() { w.bytes, w.sizes = nil, nil }

// peek returns what the next frame holds: as many whole chunks as fit into frameBytes, or the one that is larger if
// it fits into maxBody, or else a part of it. The window is not empty.
func (w *window) peek(frameBytes, maxBody int) slice {
	s := slice{first: w.first, offset: w.offset}
	if rest := w.sizes[0] - w.offset; w.offset > 0 || rest > maxBody {
		n := min(rest, maxBody)
		s.body, s.sizes, s.more = w.bytes[:n:n], []int{n}, n < rest

		return s
	}
	chunks, bytes := 1, w.sizes[0]
	for _, size := range w.sizes[1:] {
		if bytes+size > frameBytes || chunks == maxFrameChunks {
			break
		}
		chunks, bytes = chunks+1, bytes+size
	}
	s.body, s.sizes = w.bytes[:bytes:bytes], w.sizes[:chunks:chunks]

	return s
}

// advance removes what was stored.
func (w *window) advance(s slice) {
	if len(w.sizes) == 0 {
		return // dropped meanwhile
	}
	w.bytes = w.bytes[len(s.body):]
	w.offset = 0
	if s.more {
		w.offset = s.offset + len(s.body)

		return
	}
	w.first += uint64(len(s.sizes))
	w.sizes = w.sizes[len(s.sizes):]
	if len(w.sizes) == 0 {
		w.drop() // lets go of the arrays that the frames keep
	}
}
