package bustest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func limitCases() []promise {
	return []promise{
		{name: "limits/a frame of the greatest size", run: greatestFrame},
		{name: "limits/a frame that is too large", run: frameTooLarge},
		{name: "limits/letters and values", run: othersTooLarge},
		{name: "limits/times to live are whole seconds", run: wholeSeconds},
	}
}

func noise(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcde\xff"), n/16+1)[:n]
}

func greatestFrame(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	size := b.Info().MaxBody

	got := make(chan *bus.Entry, 4)
	stop := must[func()](t)(b.Follow(t.Context(), w.id, func(e *bus.Entry) { offer(got, e) }))
	defer stop()

	for range 2 { // The second one may need to say where the first one is.
		f := w.frame(string(noise(size)))
		f.Trace = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

		if err := w.put(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}

	for _, e := range wantLog(t, b, w.id, 2) {
		if live := receive(t, "delivery", got); live != nil && !bytes.Equal(live.Body, noise(size)) {
			t.Errorf("body of %d bytes was delivered as %d others", size, len(live.Body))
		}

		if !bytes.Equal(e.Body, noise(size)) {
			t.Errorf("body of %d bytes came back as %d others", size, len(e.Body))
		}
	}
}

func frameTooLarge(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	size := b.Info().MaxBody + 1

	body, reason, meta := w.frame(string(noise(size))), w.frame(), w.frame()
	reason.State, reason.Reason = bus.Failed, strings.Repeat("x", size)
	meta.Meta = map[string]string{"x": strings.Repeat("x", size)}

	for what, f := range map[string]*bus.Frame{"body": body, "reason": reason, "meta": meta} {
		_, err := b.Append(t.Context(), f, nil)
		wantErr(t, what, err, bus.ErrTooLarge)
	}

	huge := w.frame(string(noise(4 * size)))
	_, err := b.Append(t.Context(), huge, nil)
	wantErr(t, "body of four times the size", err, bus.ErrTooLarge)

	w.send(t, "the connection still works")
	wantLog(t, b, w.id, 1)
}

func othersTooLarge(t *testing.T, s *suite) {
	b, component, key := s.open(t), newID("c"), newID("k")
	size := b.Info().MaxBody

	l := letter(component, newID("s"), 0)
	l.Body = noise(size + 1)
	wantErr(t, "letter", b.Post(t.Context(), l), bus.ErrTooLarge)

	l.Body = noise(size)
	if err := b.Post(t.Context(), l); err != nil {
		t.Errorf("letter of the greatest size: %v", err)
	}

	got := make(chan *bus.Letter, 2)
	work(t, b, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l }))

	if !bytes.Equal(receive(t, "letter", got).Body, noise(size)) {
		t.Error("body of a letter changed")
	}

	_, err := b.Set(t.Context(), bus.Sessions, key, noise(size+1), 0, 0)
	wantErr(t, "value", err, bus.ErrTooLarge)

	must[uint64](t)(b.Set(t.Context(), bus.Sessions, key, noise(size), 0, 0))

	if e := must[bus.KVEntry](t)(b.Get(t.Context(), bus.Sessions, key)); !bytes.Equal(e.Value, noise(size)) {
		t.Error("value changed")
	}
}

func wholeSeconds(t *testing.T, s *suite) {
	b := s.open(t)

	for _, ttl := range []time.Duration{-1, -time.Second, 1, time.Second - 1, 1500 * time.Millisecond} {
		_, err := b.Set(t.Context(), bus.Registry, newID("k"), nil, 0, ttl)
		wantErr(t, ttl.String(), err, bus.ErrInvalid)

		err = b.Renew(t.Context(), bus.Registry, newID("k"), ttl)
		wantErr(t, "renew for "+ttl.String(), err, bus.ErrInvalid)
	}
}
