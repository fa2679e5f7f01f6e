package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/sse"
	"github.com/woodwork-go/woodwork/framework/stream"
)

const (
	// silence is how long an output service may say nothing, not even that it is alive, before its reader leaves it.
	silence = 4 * time.Second
	// lag is how long a slow reader thinks about each event.
	lag = 10 * time.Millisecond
	// slowEvery is which session has a slow reader.
	slowEvery = 4
	// phoneReader is which of a session's readers is a user's over HTTP.
	phoneReader = 2
)

// reader is one reader of a session, over any number of connections.
type reader struct {
	session *session
	seen    check.Reader
	ended   map[string]bool // turns whose answer it saw the end of
	cursor  stream.SessionCursor
	began   time.Time                                  // when it connected
	told    time.Time                                  // when it was last told that its place is gone, or came late
	connect func(ctx context.Context, r *reader) error // reads until it breaks off
	lag     time.Duration
	decoder sse.Decoder
	try     int
	direct  bool
}

// newReaders returns the session's readers: two that read the language model's answers and the relay's directly on the
// bus, and two users' that read the relay's over HTTP.
func (s *session) newReaders() []*reader {
	direct := func(target string) func(context.Context, *reader) error {
		return func(ctx context.Context, r *reader) error { return r.follow(ctx, target) }
	}
	readers := []*reader{
		{seen: check.Reader{Name: "llm on the bus", Component: "llm"}, connect: direct(relays), direct: true},
		{seen: check.Reader{Name: "relay on the bus", Component: relays}, connect: direct(""), direct: true},
		{seen: check.Reader{Name: "phone", Component: relays}, connect: request},
		{seen: check.Reader{Name: "laptop", Component: relays}, connect: request, try: 1},
	}
	if s.number%slowEvery == 0 {
		readers[3].lag = lag
	}
	for _, r := range readers {
		r.session, r.ended = s, make(map[string]bool)
	}

	return readers
}

// read reads until ctx ends.
func (r *reader) read(ctx context.Context) {
	for ctx.Err() == nil {
		r.began = time.Now()
		if err := r.connect(ctx, r); err != nil {
			r.session.broke()
		}
		r.try++
		pause(ctx, retryWait)
	}
}

// got notes an event.
func (r *reader) got(ctx context.Context, e stream.SessionEvent) {
	seen := check.Event{SessionEvent: e, At: time.Now()}
	if r.cursor == (stream.SessionCursor{}) {
		seen.Began = r.began
	}
	r.cursor = e.Cursor
	r.session.saw(ctx, r, seen)
	if w := r.session.watcher; r.direct && !r.session.misbehaves(e.Info.Root) {
		switch e.Event.Kind {
		case stream.KindChunk:
			w.Chunk(time.Now(), r.seen.Component, e.Info.Stream, e.Cursor.Cursor.Attempt)
		case stream.KindEnd:
			w.End(e.Info.Stream)
		case stream.KindOpened, stream.KindSuperseded:
		}
	}
	if r.lag > 0 {
		pause(ctx, r.lag)
	}
}

// gone notes that the reader was told that its place is not stored any more: it begins again. To be told once more before
// anything came is nothing new.
func (r *reader) gone() {
	r.cursor = stream.SessionCursor{}
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(r.seen.Events); n > 0 && r.seen.Events[n-1].Gone {
		return
	}
	r.told = time.Now()
	r.seen.Events = append(r.seen.Events, check.Event{Gone: true, At: r.told})
	s.happened()
}

// follow reads on the bus.
func (r *reader) follow(ctx context.Context, target string) error {
	f, err := r.session.direct.Follow(ctx, stream.FollowConfig{Session: r.session.id, From: r.cursor, Targets: []string{target}})
	if err != nil {
		return r.expired(err)
	}
	defer f.Close()
	for {
		e, err := f.Next(ctx)
		if err != nil {
			return r.expired(err)
		}
		r.got(ctx, e)
	}
}

// expired notes it when an error says that the reader's place is gone, and returns the error.
func (r *reader) expired(err error) error {
	if errors.Is(err, stream.ErrExpired) {
		r.gone()
	}

	return err
}

// request reads from one of the output services; the next time from another.
func request(ctx context.Context, r *reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outputs := r.session.edges.Outputs()
	url := outputs[(r.session.number+r.try)%len(outputs)] + "/v1/sessions/" + r.session.id + "/events"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if r.cursor != (stream.SessionCursor{}) {
		request.Header.Set("Last-Event-ID", r.cursor.String())
	}
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	response, err := r.session.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusGone {
		r.gone()
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("read events: %s", response.Status)
	}
	for e, err := range r.decoder.Events(&watched{response.Body, alive}) {
		if errors.Is(err, sse.ErrResync) {
			r.gone()

			continue
		}
		if err != nil {
			return err
		}
		r.got(ctx, e)
	}

	return nil
}
