package terminal

// answer is the text of one answer that is valid at the moment, with the places where its chunks begin.
type answer struct {
	text  []byte
	first uint64 // index of the first chunk that is held
	begin []int  // where each chunk begins in text
}

// add appends the chunk with an index. Chunks come in order.
func (a *answer) add(index uint64, data []byte) {
	if len(a.begin) == 0 {
		a.first = index
	}

	a.begin = append(a.begin, len(a.text))
	a.text = append(a.text, data...)
}

// supersede drops the chunks from an index on and reports whether there were any.
func (a *answer) supersede(from uint64) bool {
	keep := 0
	if from > a.first {
		keep = int(min(from-a.first, uint64(len(a.begin))))
	}

	if keep == len(a.begin) {
		return false
	}

	a.text = a.text[:a.begin[keep]]
	a.begin = a.begin[:keep]

	return true
}
