package bus

// DataType says what the chunks of a stream are. Bytes are never changed, whatever the type.
type DataType string

// The data types of a stream.
const (
	Text   DataType = "text"
	JSON   DataType = "json"
	Audio  DataType = "audio"
	Image  DataType = "image"
	Binary DataType = "binary"
)

// State is how far a stream is. The zero value is Active.
type State string

// The states of a stream. The last three are final: they are written once, by the last frame, and never change.
const (
	Active    State = ""
	Completed State = "completed"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final reports whether nothing can follow in a stream of this state.
func (s State) Final() bool { return s != Active }

// Frame is one entry of a stream's log: one or more consecutive chunks that were appended together, or a part of one
// chunk that is too large for the bus.
type Frame struct {
	// ID is the stream.
	ID StreamID
	// Attempt is the attempt that wrote the frame, counted from 1.
	Attempt uint32
	// Writer is a random id of the writer, which tells apart two executions that took the same attempt number.
	Writer string
	// Life names the life of the log: it is the Writer of the log's first frame, and every frame repeats it, because the
	// first one expires. A log that has expired or was wiped as a whole begins anew, at index 0, with another life. Empty in
	// what older programs stored, and behind it: such a life has no name. See [ValidLife].
	Life string
	// First is the index of the first chunk. In a frame without chunks it is the index the next chunk would have.
	First uint64
	// Lengths are the chunks' lengths in bytes, in order; their sum is len(Body). Empty in a frame that only ends the
	// stream or only begins an attempt.
	Lengths []int
	// Offset is how many bytes of chunk First earlier frames hold; 0 but for a chunk in parts.
	Offset int
	// More says that the only chunk of this frame goes on in the next frame.
	More bool
	// Type is the data type of the stream.
	Type DataType
	// Begin marks the first frame of an attempt: everything from index First on that earlier attempts wrote is
	// superseded, and After is where the log stood.
	Begin bool
	// After is the cursor behind the last entry of the attempt before, in a frame with Begin; zero for the first. Both are of
	// one life, so it names none.
	After Cursor
	// State is final in the last frame of a stream and Active in all others.
	State State
	// Reason says why a stream failed or was cancelled.
	Reason string
	// Meta holds small facts about the stream, such as token usage; only in a frame with Begin or a final State.
	Meta map[string]string
	// Trace is the W3C trace context of the producer: "traceparent" and "tracestate"; nil without tracing.
	Trace map[string]string
	// Body is the chunks' bytes one after another.
	Body []byte
}

// End returns the cursor behind the frame's last complete chunk.
func (f *Frame) End() Cursor {
	n := uint64(len(f.Lengths))
	if f.More {
		n--
	}

	return Cursor{Attempt: f.Attempt, Index: f.First + n, Life: f.Life}
}

// GoBehind makes f the frame behind last, or the first one where last is nil, in a log that many write, each frame as a
// writer of its own.
func (f *Frame) GoBehind(last *Entry) {
	f.Begin, f.First, f.Life = last == nil, 0, f.Writer
	if last != nil {
		f.First, f.Life = last.End().Index, last.Life
	}
}

// Same reports whether two frames are tries of the same append: the same writer, attempt and place.
func (f *Frame) Same(g *Frame) bool {
	return f.ID == g.ID && f.Writer == g.Writer && f.Attempt == g.Attempt && f.First == g.First &&
		f.Offset == g.Offset && len(f.Lengths) == len(g.Lengths) && f.State == g.State
}
