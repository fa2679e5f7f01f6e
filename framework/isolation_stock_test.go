package framework_test

import (
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// stock returns all that the bus holds of some sessions.
func (h *house) stock(of func(session string) bool) map[string]string {
	h.t.Helper()

	ctx, all, found := h.t.Context(), map[string]string{}, map[string]bool{}

	for e, err := range h.raw.Watch(ctx, bus.Sessions, "") {
		h.must(err)

		if e.Kind == bus.KVSynced {
			break
		}

		if id := keptIn(e.Entry.Key); of(id) {
			found[id], all["key "+e.Entry.Key] = true, fmt.Sprintf("%d: %s", e.Entry.Revision, e.Entry.Value)
		}
	}

	for d, err := range h.raw.Dead(ctx, "") {
		h.must(err)

		if of(d.Session) {
			all[fmt.Sprintf("dead letter %v", d.Position)] = fmt.Sprintf("%+v", *d)
		}
	}

	for id := range found {
		h.logs(id, all)

		for _, component := range []string{"echo", "nobody", "tool"} {
			l, err := h.raw.Peek(ctx, component, id)
			h.must(err)

			if l != nil {
				all["letter to "+component+" in "+id] = fmt.Sprintf("%+v", *l)
			}
		}
	}

	return all
}

// keptIn returns the session to which a key belongs.
func keptIn(key string) string {
	if id, ok := subjects.ParseSessionKey(key); ok {
		return id
	}

	id, _, _ := strings.Cut(key, ".")

	return id
}

// logs adds the logs of a session: its own, and those that the timeline lists.
func (h *house) logs(id string, all map[string]string) {
	h.t.Helper()

	store := stream.NewStore(h.raw, h.raw.Info(), stream.Config{})
	defer store.Close()

	ids := []string{subjects.Timeline, subjects.ControlLog, subjects.FailureLog, subjects.EventLog, "t1", "t2", "t3", "t4"}

	announced, err := store.Shared(h.t.Context(), bus.StreamID{Session: id, Stream: subjects.Timeline})
	h.must(err)

	for _, chunk := range announced {
		_, rest, _ := strings.Cut(string(chunk.Data), `"stream":"`)
		stream, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, stream)
	}

	for _, stream := range ids {
		last, err := h.raw.Last(h.t.Context(), bus.StreamID{Session: id, Stream: stream})
		h.must(err)

		var entries []string

		for e, err := range h.raw.Read(h.t.Context(), last, bus.Cursor{}) {
			h.must(err)

			entries = append(entries, fmt.Sprintf("%+v", *e))
		}

		all["log "+id+"/"+stream] = strings.Join(entries, "\n")
	}
}
