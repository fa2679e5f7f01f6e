package wire

import (
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// lifeMark stands between the writer and the life of a frame. Random ids of writers don't contain it.
const lifeMark = "."

// Writer writes who wrote a frame and the life of its log as one text: "<writer>.<life>", "<writer>." for a writer that
// began the log, and "<writer>" where the life has no name. So programs that know nothing of lives read such frames, and
// such programs' frames are read.
func Writer(f *bus.Frame) string {
	writer := f.Writer
	if strings.ContainsAny(writer, lifeMark+"%") {
		writer = strings.NewReplacer("%", "%25", lifeMark, "%2E").Replace(writer)
	}
	switch f.Life {
	case "":
		return writer
	case f.Writer:
		return writer + lifeMark
	default:
		return writer + lifeMark + f.Life
	}
}

// ParseWriter is the inverse of [Writer]: it sets the frame's Writer and Life. It reports false for a life that can't be
// one.
func ParseWriter(f *bus.Frame, s string) bool {
	writer, life, named := strings.Cut(s, lifeMark)
	if strings.Contains(writer, "%") {
		writer = strings.NewReplacer("%2E", lifeMark, "%25", "%").Replace(writer)
	}
	f.Writer, f.Life = writer, life
	if named && life == "" {
		f.Life = writer
	}

	return bus.ValidLife(f.Life)
}
