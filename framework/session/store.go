package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// Config says how a [Store] keeps sessions. The zero value works.
type Config struct {
	// TTL is how long a session and the state in it last without activity, at least 1 s; it may be shorter or longer than
	// the bus keeps streams. Defaults to bus.Info.Retention, as long as the streams of the session can be read; where the
	// bus keeps them for ever, a session lasts until it is ended.
	TTL time.Duration
	// Tenant whose sessions the store sees. Defaults to none: the store sees the sessions of all tenants.
	Tenant string
}

// Store keeps sessions on a bus. All methods may be called concurrently.
//
// A store of a tenant names each session by the tenant and its id, so it can't reach another tenant's, whatever ids it
// is given. This library enforces that, not the bus: a program that opens a store without a tenant sees all. Only an
// account of its own on NATS keeps a program that is not trusted away from others' data.
type Store struct {
	kv      Keys
	streams *stream.Store
	cfg     Config

	mu      sync.Mutex
	renewed map[string]time.Time // when this store renewed a session last

	changing, updating locks // of sessions, and of components' states
}

// Keys are the part of a bus that a [Store] keeps sessions with.
type Keys interface {
	bus.KV

	// Info says how much the bus takes and for how long it keeps streams.
	Info() bus.Info
}

// ErrExists refuses to create a session that is there.
var ErrExists = errors.New("the session exists already")

// NewStore returns a store on a bus's keys; streams has the sessions' streams.
func NewStore(kv Keys, streams *stream.Store, cfg Config) *Store {
	if cfg.TTL <= 0 {
		cfg.TTL = kv.Info().Retention
	}

	s := &Store{kv: kv, streams: streams, cfg: cfg, renewed: map[string]time.Time{}}
	for i := range stripes {
		s.changing[i], s.updating[i] = make(chan struct{}, 1), make(chan struct{}, 1)
	}

	return s
}

// stripes is how many keys may be changed at once.
const stripes = 64

// locks let one after the other of those in this process change a key: they would only be in each other's way.
type locks [stripes]chan struct{}

// lock waits for a key's turn and returns how to end it.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, key) // a hash takes everything
	turn := l[h.Sum32()%stripes]

	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Name returns the id by which the bus knows a session of this store: that of the tenant's session. It fails for ids
// that can't be used, with bus.ErrInvalid and subjects.ErrInvalid.
func (s *Store) Name(id string) (string, error) {
	name, err := subjects.TenantSession(s.cfg.Tenant, id)
	if err == nil && subjects.Reserved(name) {
		err = fmt.Errorf("ids that begin with \"_\" are reserved: %w", subjects.ErrInvalid)
	}

	return name, invalid(err)
}

// invalid makes an error about an id one of the bus, as what the bus itself refuses.
func invalid(err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
}

// Own returns the store's own id of a session on the bus, and false when it is another tenant's.
func (s *Store) Own(name string) (id string, mine bool) {
	if s.cfg.Tenant == "" {
		return name, true
	}

	tenant, id := subjects.SplitTenant(name)

	return id, tenant == s.cfg.Tenant
}

// Create stores a new session: the ID, Graph and Metadata of what it is given. It fails with [ErrExists] when there is
// one that has not ended, and stores nothing of what it refuses: with bus.ErrInvalid, or bus.ErrTooLarge.
func (s *Store) Create(ctx context.Context, fresh Session) (Session, error) {
	made, err := s.change(ctx, fresh.ID, guessNew, func(there *Session, exists bool) error {
		if exists && there.State == Active {
			return ErrExists
		}

		there.begin()
		there.Graph, there.Metadata = fresh.Graph, fresh.Metadata

		if there.Graph == nil {
			there.Graph = DefaultGraph()
		}

		return s.fits(there, 0)
	})
	if err != nil {
		return Session{}, fmt.Errorf("create session %s: %w", fresh.ID, err)
	}

	return made, nil
}

// Get returns a session, or bus.ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (Session, error) {
	there, _, err := s.read(ctx, id)
	if err != nil {
		return Session{}, fmt.Errorf("get session %s: %w", id, err)
	}

	return there, nil
}

// Update changes a session: change gets what is there now, again whenever somebody else was faster, so no change of
// anybody is lost. It renews the session. It fails with bus.ErrNotFound, with what change returns, or as Create does for
// what can't be stored. ID, Tenant and Created stay as they are.
func (s *Store) Update(ctx context.Context, id string, change func(*Session) error) (Session, error) {
	changed, err := s.change(ctx, id, look, func(there *Session, exists bool) error {
		if !exists {
			return bus.ErrNotFound
		}

		created := there.Created

		before, err := there.given()
		if err == nil {
			err = change(there)
		}

		if err != nil {
			return err
		}

		there.Created = created

		return s.fits(there, before)
	})
	if err != nil {
		return Session{}, fmt.Errorf("update session %s: %w", id, err)
	}

	return changed, nil
}

// fits refuses a record that is too large, or leaves too little room for the components that save state later and are
// noted in it. One that was as large before stays, so that its session can be renewed and ended.
func (s *Store) fits(there *Session, before int) error {
	size, err := there.given()
	if most := s.kv.Info().MaxBody / 2; err == nil && size > before && most > 0 && size > most {
		err = fmt.Errorf("a graph and metadata of %d bytes, of at most %d: %w", size, most, bus.ErrTooLarge)
	}

	return err
}

// End ends a session: it cancels every turn in it for the reason given, which ends their streams, and deletes the state
// that components keep in it. It returns after all of that is stored; turns that run end soon after. The session is
// listed as ended until it expires, and so do its streams. It fails with bus.ErrNotFound, and with bus.ErrInvalid for a
// reason longer than [stream.MaxReason]; repeating it is harmless.
func (s *Store) End(ctx context.Context, id, reason string) error {
	if err := stream.CheckReason(reason); err != nil {
		return fmt.Errorf("end session: %w", err)
	}

	defer s.forget(id)

	if _, err := s.Update(ctx, id, func(there *Session) error {
		there.State, there.Components = Ended, nil

		return nil
	}); err != nil {
		return fmt.Errorf("end session: %w", err)
	}

	name, err := s.Name(id)
	if err != nil {
		return err
	}

	if _, err := Post(ctx, s.streams, name, Cancel{Reason: reason}); err != nil {
		return fmt.Errorf("end session: %w", err)
	}

	for e, err := range s.present(ctx, name) {
		if err == nil {
			err = s.kv.Delete(ctx, bus.Sessions, e.Key, 0)
		}

		if err != nil {
			return fmt.Errorf("end session %s: delete its state: %w", id, err)
		}
	}

	return nil
}

// List yields the sessions that a filter selects, in no order. It ends early with an error.
func (s *Store) List(ctx context.Context, f Filter) iter.Seq2[Session, error] {
	prefix := subjects.AllSessions()
	if tenant := s.cfg.Tenant; tenant != "" {
		prefix = subjects.SessionPrefix(tenant)
	}

	return func(yield func(Session, error) bool) {
		for e, err := range s.present(ctx, prefix) {
			if err != nil {
				yield(Session{}, fmt.Errorf("list sessions: %w", err))

				return
			}

			there, ours := s.decode(e)
			if ours && f.matches(&there) && !yield(there, nil) {
				return
			}
		}
	}
}

// present yields the keys that are there under a prefix.
func (s *Store) present(ctx context.Context, prefix string) iter.Seq2[bus.KVEntry, error] {
	return func(yield func(bus.KVEntry, error) bool) {
		for e, err := range s.kv.Watch(ctx, bus.Sessions, prefix) {
			switch {
			case err != nil:
				yield(bus.KVEntry{}, err)

				return
			case e.Kind == bus.KVSynced:
				return
			case e.Kind == bus.KVSet && !yield(e.Entry, nil):
				return
			}
		}

		if err := ctx.Err(); err != nil {
			yield(bus.KVEntry{}, context.Cause(ctx))
		}
	}
}

// decode reads a session's record. One that is in another's place or can't be read is nobody's.
func (s *Store) decode(e bus.KVEntry) (Session, bool) {
	name, ok := subjects.ParseSessionKey(e.Key)

	var there Session
	if err := json.Unmarshal(e.Value, &there); err != nil || !ok {
		return Session{}, false
	}

	there.Tenant, _ = subjects.SplitTenant(name)

	var mine bool
	there.ID, mine = s.Own(name)

	return there, mine
}

// read returns a session and its revision.
func (s *Store) read(ctx context.Context, id string) (Session, uint64, error) {
	key, _, err := s.key(id)
	if err != nil {
		return Session{}, 0, err
	}

	e, err := s.kv.Get(ctx, bus.Sessions, key)
	if err != nil {
		return Session{}, 0, err
	}

	there, ours := s.decode(e)
	if !ours {
		return Session{}, 0, fmt.Errorf("its record can't be read: %w", bus.ErrCorrupt)
	}

	there.ID = id // which may be longer than the name of the record says

	return there, e.Revision, nil
}

// key returns the key of a session's record, and the tenant whose session it is.
func (s *Store) key(id string) (key, tenant string, err error) {
	name, err := s.Name(id)
	if err != nil {
		return "", "", err
	}

	key, err = subjects.SessionKey(name)
	tenant, _ = subjects.SplitTenant(name)

	return key, tenant, invalid(err)
}

// guess says whether a change takes a session for new before it looks. That saves the look where it is new, and costs one
// more write that is refused where it isn't.
type guess bool

const (
	look     guess = false
	guessNew guess = true
)

// change applies a change to what is there until it was stored on top of exactly that.
func (s *Store) change(
	ctx context.Context, id string, first guess, apply func(there *Session, exists bool) error,
) (Session, error) {
	key, _, err := s.key(id)
	if err != nil {
		return Session{}, err
	}

	unlock, err := s.changing.lock(ctx, key)
	if err != nil {
		return Session{}, err
	}
	defer unlock()

	if first == guessNew {
		there, err := s.put(ctx, id, Session{}, 0, apply)
		if !errors.Is(err, bus.ErrConflict) {
			return there, err
		}
	}

	for try := 0; ; try++ {
		there, revision, err := s.read(ctx, id)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return there, err
		}

		there, err = s.put(ctx, id, there, revision, apply)
		if err == nil || !again(ctx, err, try) {
			return there, err
		}
	}
}

// put applies a change to a session and stores it on top of a revision, 0 for one that is not there. It fails with
// bus.ErrConflict when that is not what is there.
func (s *Store) put(
	ctx context.Context, id string, there Session, revision uint64, apply func(there *Session, exists bool) error,
) (Session, error) {
	key, tenant, err := s.key(id)
	if err != nil {
		return there, err
	}

	if err := apply(&there, revision != 0); err != nil {
		return there, err
	}

	there.ID, there.Tenant, there.Updated, there.Write = id, tenant, time.Now().UTC(), rand.Text()
	if err := there.check(); err != nil {
		return there, err
	}

	return there, s.store(ctx, key, there, revision)
}

// store writes a record at a revision and finds out what became of it where the bus can't say.
func (s *Store) store(ctx context.Context, key string, there Session, revision uint64) error {
	value, err := json.Marshal(there)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}

	_, err = set(ctx, s.kv, key, value, revision, s.ttl())

	return err
}

// set stores a value at a revision. While the outcome is unknown it looks whether the value is there, and stores it once
// more where nothing has changed: of the two only one can be. Only when others have changed the key since can it not tell,
// and then it says so.
func set(
	ctx context.Context, kv bus.KV, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	stored, unknown := kv.Set(ctx, bus.Sessions, key, value, revision, ttl)
	if !errors.Is(unknown, bus.ErrUnknown) {
		return stored, unknown
	}

	for range looks {
		there, err := kv.Get(ctx, bus.Sessions, key)

		switch {
		case errors.Is(err, bus.ErrNotFound) && revision == 0, err == nil && there.Revision == revision:
			stored, err = kv.Set(ctx, bus.Sessions, key, value, revision, ttl)
			if !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrConflict) {
				return stored, err
			}
		case err == nil && bytes.Equal(there.Value, value):
			return there.Revision, nil
		case !errors.Is(err, bus.ErrUnknown):
			return 0, unknown
		}
	}

	return 0, unknown
}

// looks is how often the outcome of a change is asked for.
const looks = 10

// again waits a little before another try of a change that met another one, longer with each try, and reports whether
// there is one.
func again(ctx context.Context, err error, try int) bool {
	const step, most = 2 * time.Millisecond, 50

	if !errors.Is(err, bus.ErrConflict) {
		return false
	}

	timer := time.NewTimer(mathrand.N(step * time.Duration(min(try+1, most))))
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
