package redisbus

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// server opens a bus on a server of its own, and a client of that server for what the bus doesn't do.
func server(t *testing.T, cfg Config) (*Bus, *redis.Client) {
	t.Helper()
	cfg.URL = redistest.Run(t, redistest.Options{}).URL()

	return open(t, cfg), admin(t, cfg.URL)
}

func logKey(t *testing.T, b *Bus, id bus.StreamID) string {
	t.Helper()

	return must(b.ns.RedisLog(id.Session, id.Stream))(t)
}

// put stores an entry past the bus.
func put(t *testing.T, c *redis.Client, key, id string, fields ...any) {
	t.Helper()
	must(c.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: fields}).Result())(t)
}

func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

func wantRead(t *testing.T, b *Bus, last *bus.Entry, want []int) {
	t.Helper()
	if diff := cmp.Diff(want, read(t, b, last, bus.Cursor{})); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// A log that expired and was written again reaches the ids that a writer of the first one knows: that one is fenced all
// the same.
func TestAnExpiredLogIsNotItsSuccessor(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	id := testID(1)
	zombie := fill(t, b, id, 3)
	must(c.Del(t.Context(), logKey(t, b, id)).Result())(t)

	_, err := b.Append(t.Context(), frame(id, 3, "late"), zombie)
	wantErr(t, "append to a log that is gone", err, bus.ErrConflict)

	var last *bus.Entry
	for i := range 3 {
		f := frame(id, i, "again")
		f.Writer = "another"
		last = must(b.Append(t.Context(), f, last))(t)
	}
	if last.Position != zombie.Position {
		t.Fatalf("the test is void: %v is not %v", last.Position, zombie.Position)
	}
	_, err = b.Append(t.Context(), frame(id, 3, "late"), zombie)
	wantErr(t, "append to the log that came after", err, bus.ErrConflict)
	wantRead(t, b, last, []int{0, 1, 2})
}

func TestALogExpires(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{MaxAge: time.Hour})
	id := testID(1)
	last := fill(t, b, id, 1)
	wantKept(t, b, c, id)
	for i, key := range []string{logKey(t, b, id), headKey(t, b, id)} {
		must(c.PExpire(t.Context(), logKey(t, b, id), 59*time.Minute).Result())(t)
		must(c.PExpire(t.Context(), key, time.Minute).Result())(t)
		last = must(b.Append(t.Context(), frame(id, i+1, "x"), last))(t)
		wantKept(t, b, c, id)
	}
	must(c.Del(t.Context(), headKey(t, b, id)).Result())(t)
	must(b.Append(t.Context(), frame(id, 3, "x"), last))(t)
	wantKept(t, b, c, id)
}

// wantKept checks when a log whose entries are kept for an hour expires: not before, hardly later, and its head with it.
func wantKept(t *testing.T, b *Bus, c *redis.Client, id bus.StreamID) {
	t.Helper()
	log := must(c.PTTL(t.Context(), logKey(t, b, id)).Result())(t)
	head := must(c.PTTL(t.Context(), headKey(t, b, id)).Result())(t)
	if log < time.Hour-time.Minute || log > time.Hour+time.Hour/16 {
		t.Errorf("the log expires %v after an append, want an hour", log)
	}
	if d := log - head; d < -time.Minute || d > time.Minute {
		t.Errorf("the log expires in %v, its head in %v", log, head)
	}
}

func headKey(t *testing.T, b *Bus, id bus.StreamID) string {
	t.Helper()

	return must(b.ns.RedisHead(id.Session, id.Stream))(t)
}

// A log that is written for longer than entries are kept loses the old ones, and never one that is young.
func TestAgeTrimsALongLog(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{MaxAge: time.Hour})
	id := testID(1)
	var last *bus.Entry
	next := 0
	add := func(n int) {
		for range n {
			last = must(b.Append(t.Context(), frame(id, next, "x"), last))(t)
			next++
		}
	}
	// refresh ages all marks but the last, and the log so much that the next append looks at it.
	refresh := func() {
		marks := strings.Fields(must(c.HGet(t.Context(), headKey(t, b, id), "marks").Result())(t))
		for i := 0; i+2 < len(marks); i += 2 {
			marks[i] = "1"
		}
		must(c.HSet(t.Context(), headKey(t, b, id), "marks", strings.Join(marks, " ")).Result())(t)
		must(c.PExpire(t.Context(), logKey(t, b, id), 59*time.Minute).Result())(t)
		add(1)
	}
	add(100)  // and a mark at 0
	refresh() // a mark at 100
	add(49)   // up to 149
	refresh() // a mark at 150; what is before 0 goes
	wantRead(t, b, last, count(0, 150))
	add(1000) // up to 1150
	refresh() // a mark at 1151; what is before 100 goes
	wantRead(t, b, last, count(100, 1151))
	refresh() // what is before 150 goes
	wantRead(t, b, last, count(150, 1152))
}

// What was stored before a pause is not read any more once it is too old, though no append has dropped it yet: a timeline
// must not announce streams that expired while nobody wrote to it.
func TestWhatIsTooOldIsNotRead(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{MaxAge: time.Hour})
	id := testID(1)
	// ago is what the head says of a time.
	ago := func(d time.Duration) string {
		return strconv.FormatInt(must(c.Time(t.Context()).Result())(t).Add(-d).UnixMilli(), 10)
	}
	old := fill(t, b, id, 2)
	const pause = 55 * time.Minute // since the last append that may have found an hour left
	must(c.PExpire(t.Context(), logKey(t, b, id), time.Hour-pause).Result())(t)
	earliest := ago(pause + time.Minute)
	young := must(b.Append(t.Context(), frame(id, 2, "x"), old))(t)
	wantRead(t, b, young, []int{0, 1, 2})

	marks := strings.Fields(must(c.HGet(t.Context(), headKey(t, b, id), "marks").Result())(t))
	if n := len(marks); n < 2 || marks[n-2] < earliest || marks[n-2] > ago(pause) || marks[n-1] != entryID(young.Position) {
		t.Fatalf("marks are %q; want the last to say that what is before %s is of %v ago", marks, entryID(young.Position), pause)
	}
	marks[len(marks)-2] = ago(61 * time.Minute) // two minutes pass
	must(c.HSet(t.Context(), headKey(t, b, id), "marks", strings.Join(marks, " ")).Result())(t)
	for _, from := range []bus.Cursor{{}, {Attempt: 1}, {Attempt: 1, Index: 1}, {Attempt: 1, Index: 2}, {Attempt: 1, Index: 3}} {
		if diff := cmp.Diff([]int{2}, read(t, b, young, from)); diff != "" {
			t.Errorf("from %v (-want +got):\n%s", from, diff)
		}
	}
	if n := must(c.XLen(t.Context(), logKey(t, b, id)).Result())(t); n != 3 {
		t.Fatalf("the test is void: the log holds %d entries", n)
	}
	for _, err := range b.Read(t.Context(), old, bus.Cursor{}) {
		wantErr(t, "read up to what is too old", err, bus.ErrNotFound)
	}
}

// A head that another version of this program wrote, or one that keeps entries for another time, says nothing of when the
// entry before was stored, and neither does a log without an end: then a mark has the time at which it was made, and nothing
// goes.
func TestAMarkOfUnknownAge(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{MaxAge: time.Hour})
	for i, change := range []func(id bus.StreamID, last *bus.Entry){
		func(id bus.StreamID, last *bus.Entry) {
			head := headKey(t, b, id)
			must(c.HDel(t.Context(), head, "last:3600000").Result())(t)
			must(c.HSet(t.Context(), head, "last", packBegin(last)).Result())(t)
			must(c.PExpire(t.Context(), logKey(t, b, id), time.Second).Result())(t)
		},
		func(id bus.StreamID, last *bus.Entry) {
			must(c.PExpire(t.Context(), logKey(t, b, id), time.Minute).Result())(t)
			must(c.HSet(t.Context(), headKey(t, b, id), "last:60000", packBegin(last)).Result())(t)
			must(c.HSet(t.Context(), headKey(t, b, id), "last:3600000", "of before").Result())(t)
		},
		func(id bus.StreamID, _ *bus.Entry) { must(c.Persist(t.Context(), logKey(t, b, id)).Result())(t) },
		func(id bus.StreamID, _ *bus.Entry) { must(c.Del(t.Context(), headKey(t, b, id)).Result())(t) },
	} {
		id := testID(i)
		last := fill(t, b, id, 2)
		change(id, last)
		last = must(b.Append(t.Context(), frame(id, 2, "x"), last))(t)
		wantRead(t, b, last, []int{0, 1, 2})
		wantKept(t, b, c, id)
	}
}

// Programs that disagree about how long entries are kept write one log in turns: none loses what is young for any of them, and
// what the log's head says stays small.
func TestProgramsOfTwoAges(t *testing.T) {
	t.Parallel()
	url := redistest.Run(t, redistest.Options{}).URL()
	one, other := open(t, Config{URL: url, MaxAge: time.Hour}), open(t, Config{URL: url, MaxAge: time.Minute})
	id, n := testID(1), 200
	var last *bus.Entry
	for i := range n {
		b := one
		if i%2 > 0 {
			b = other
		}
		last = must(b.Append(t.Context(), frame(id, i, "x"), last))(t)
	}
	wantRead(t, one, last, count(0, n-1))
	wantRead(t, other, last, count(0, n-1))
	marks := must(admin(t, url).HGet(t.Context(), headKey(t, one, id), "marks").Result())(t)
	if got := len(strings.Fields(marks)) / 2; got > 64 {
		t.Errorf("%d marks after %d appends", got, n)
	}
}

// count returns the numbers from one to another.
func count(from, to int) []int {
	var all []int
	for i := from; i <= to; i++ {
		all = append(all, i)
	}

	return all
}

// Marks of a log that is gone don't trim the one that came after.
func TestMarksOfALogThatIsGone(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{MaxAge: time.Hour})
	id := testID(1)
	fill(t, b, id, 1)
	must(c.HSet(t.Context(), headKey(t, b, id), "marks", "1 9-0").Result())(t)
	must(c.Del(t.Context(), logKey(t, b, id)).Result())(t)
	last := fill(t, b, id, 2)
	must(c.PExpire(t.Context(), logKey(t, b, id), 59*time.Minute).Result())(t)
	last = must(b.Append(t.Context(), frame(id, 2, "x"), last))(t)
	wantRead(t, b, last, []int{0, 1, 2})
}

// A head that is lost is found again in the log; until then it fences as before.
func TestALostHead(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	id := testID(1)
	key := logKey(t, b, id)
	stale := fill(t, b, id, 2)
	last := must(b.Append(t.Context(), frame(id, 2, "x"), stale))(t)
	put(t, c, key, entryID(bus.Position{Major: 1, Minor: last.Position.Minor + 1}), "some", "thing")
	other := *last
	other.Writer = "another"
	for what, after := range map[string]*bus.Entry{"an earlier entry": stale, "another writer's": &other, "nothing": nil} {
		must(c.Del(t.Context(), headKey(t, b, id)).Result())(t)
		_, err := b.Append(t.Context(), frame(id, 3, "x"), after)
		wantErr(t, "append behind "+what, err, bus.ErrConflict)
	}
	last = must(b.Append(t.Context(), frame(id, 3, "x"), last))(t)
	wantRead(t, b, last, []int{0, 1, 2, 3})
}

// A frame that was copied to another place of its log is none.
func TestAFrameOutOfItsPlace(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	id := testID(1)
	key := logKey(t, b, id)
	fill(t, b, id, 1)
	copied := must(c.XRange(t.Context(), key, "-", "+").Result())(t)[0].Values[nameFrame]
	put(t, c, key, "2-0", nameFrame, copied)
	_, err := b.Last(t.Context(), id)
	wantErr(t, "last", err, bus.ErrCorrupt)
}

func TestForeignEntriesAreIgnored(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	id := testID(1)
	key := logKey(t, b, id)
	put(t, c, key, "0-1", "some", "thing")
	if e := must(b.Last(t.Context(), id))(t); e != nil {
		t.Errorf("last entry is %+v", e)
	}
	last := fill(t, b, id, 2)
	put(t, c, key, entryID(bus.Position{Major: 1, Minor: last.Position.Minor + 1}), "some", "thing")
	if e := must(b.Last(t.Context(), id))(t); e.Position != last.Position {
		t.Errorf("last entry is at %v, want %v", e.Position, last.Position)
	}
	last = must(b.Append(t.Context(), frame(id, 2, "x"), last))(t)
	wantRead(t, b, last, []int{0, 1, 2})
	if n := b.Counts().Foreign; n < 3 {
		t.Errorf("%d foreign entries were counted", n)
	}

	put(t, c, key, "*", "some", "thing")
	_, err := b.Append(t.Context(), frame(id, 3, "x"), last)
	wantErr(t, "append behind an entry of a greater id", err, bus.ErrCorrupt)
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	for i, tc := range []struct {
		want   error
		fields []string
	}{
		{bus.ErrUnsupported, []string{"1-0", "v", "2", "writer", "w"}},
		{bus.ErrCorrupt, []string{"1-0", "v", "1", "writer", "w", "crc", "00000000", "body", "x"}},
	} {
		id := testID(i)
		put(t, c, logKey(t, b, id), "1-0", nameFrame, pack(tc.fields...))
		_, err := b.Last(t.Context(), id)
		wantErr(t, "last", err, tc.want)
		last := &bus.Entry{Frame: *frame(id, 1, "x"), Position: bus.Position{Major: 2}}
		stored, _, err := packFrame(&last.Frame, last.Position)
		put(t, c, logKey(t, b, id), entryID(last.Position), nameFrame, must(stored, err)(t))
		for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
			wantErr(t, "read", err, tc.want)
		}
	}
	if n := b.Counts(); n != (Counts{Corrupt: 2, Unsupported: 2}) {
		t.Errorf("counted %+v", n)
	}
}

func TestReadUpToWhatIsGone(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	last := fill(t, b, testID(1), 3)
	must(c.Del(t.Context(), logKey(t, b, testID(1))).Result())(t)
	for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
		wantErr(t, "read", err, bus.ErrNotFound)
	}
}

// Frames without chunks share an index.
func TestManyFramesAtOneIndex(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	var last *bus.Entry
	for range 5 {
		last = must(b.Append(t.Context(), &bus.Frame{ID: id, Attempt: 1, Writer: "w", Type: bus.Text}, last))(t)
	}
	last = must(b.Append(t.Context(), frame(id, 0, "x"), last))(t)
	if got := read(t, b, last, bus.Cursor{Attempt: 1}); len(got) != 6 {
		t.Errorf("a reader at the beginning is given %d entries", len(got))
	}
	full := *last
	full.Position.Minor |= maxRepeat
	_, err := b.Append(t.Context(), frame(id, 0, "x"), &full)
	wantErr(t, "append of one too many", err, bus.ErrTooLarge)
}

func TestAFrameCannotGoBack(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	last := fill(t, b, id, 3)
	_, err := b.Append(t.Context(), frame(id, 1, "x"), last)
	wantErr(t, "append at an earlier index", err, bus.ErrInvalid)
	wantRead(t, b, last, []int{0, 1, 2})
}

// What breaks a server that doesn't answer is the time for one try.
func TestAnAppendThatTakesTooLongIsUnknown(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: s.URL(), AppendTimeout: 50 * time.Millisecond})
	id := testID(1)
	last := fill(t, b, id, 1)
	s.Pause()
	_, err := b.Append(t.Context(), frame(id, 1, "x"), last)
	s.Resume()
	wantErr(t, "append to a paused server", err, bus.ErrUnknown)
	retry(t, "append", func() error {
		_, err := b.Append(t.Context(), frame(id, 1, "x"), last)
		if errors.Is(err, bus.ErrConflict) { // the first try was stored
			err = nil
		}

		return err
	})
}

// retry repeats what may fail for a while.
func retry(t *testing.T, what string, call func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := call()
		if err == nil {
			return
		}
		if backoff(ctx, attempt) != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// At the limit of memory the server refuses what is new and keeps what it acknowledged.
func TestAFullServer(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{MaxMemory: "8mb"})
	b := open(t, Config{URL: s.URL()})
	id := testID(1)
	text := string(make([]byte, 64<<10))
	var (
		last *bus.Entry
		err  error
		n    int
	)
	for ; err == nil && n < 1000; n++ {
		var e *bus.Entry
		if e, err = b.Append(t.Context(), frame(id, n, text), last); err == nil {
			last = e
		}
	}
	wantErr(t, "append at the limit", err, bus.ErrFull)
	want := make([]int, last.First+1)
	for i := range want {
		want[i] = i
	}
	wantRead(t, b, last, want)
	must(admin(t, s.URL()).ConfigSet(t.Context(), "maxmemory", "64mb").Result())(t)
	retry(t, "append", func() error {
		_, err := b.Append(t.Context(), frame(id, len(want), "x"), last)

		return err
	})
}

// What was acknowledged outlives the kill of a server with an append-only file, and readers go on.
func TestAServerIsKilled(t *testing.T) {
	t.Parallel()
	s := redistest.Run(t, redistest.Options{Fsync: redistest.Always})
	b := open(t, Config{URL: s.URL()})
	if got := b.Info().Durability; got != bus.LocalSynced {
		t.Errorf("durability is %s", got)
	}
	id := testID(1)
	missed, live := make(chan struct{}, 8), make(chan int, 64)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) {
		if e == nil {
			missed <- struct{}{}
		} else {
			live <- int(e.First)
		}
	}))(t)
	defer stop()
	last := fill(t, b, id, 20)
	s.Kill()
	_, err := b.Append(t.Context(), frame(id, 20, "x"), last)
	wantErr(t, "append to a killed server", err, bus.ErrUnknown)
	s.Start()
	retry(t, "last", func() error {
		e, err := b.Last(t.Context(), id)
		if err == nil && e.Position != last.Position {
			t.Fatalf("last entry is %+v", e)
		}

		return err
	})
	receive(t, "word that something may be missing", missed)
	last = must(b.Append(t.Context(), frame(id, 20, "x"), last))(t)
	for got := -1; got != 20; {
		got = receive(t, "frame", live)
	}
	if got := read(t, b, last, bus.Cursor{}); len(got) != 21 {
		t.Errorf("log holds %v", got)
	}
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case v := <-from:
		return v
	case <-timeout.C:
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

// A reader that blocks is one that the server doesn't wait for: it drops the connection, and the reader is told.
func TestASlowReaderIsTold(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	must(c.ConfigSet(t.Context(), "client-output-buffer-limit", "pubsub 256kb 128kb 1").Result())(t)
	id := testID(1)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	missed := make(chan struct{}, 8)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) {
		select {
		case entered <- struct{}{}:
			<-release
		default:
		}
		if e == nil {
			select {
			case missed <- struct{}{}:
			default:
			}
		}
	}))(t)
	defer stop()
	text := string(make([]byte, 256<<10))
	var last *bus.Entry
	for i := range 64 {
		last = must(b.Append(t.Context(), frame(id, i, text), last))(t)
	}
	receive(t, "first frame", entered)
	close(release)
	receive(t, "word that something may be missing", missed)
}

func TestForeignPublicationsAreDropped(t *testing.T) {
	t.Parallel()
	b, c := server(t, Config{})
	id := testID(1)
	live := make(chan *bus.Entry, 8)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) { live <- e }))(t)
	defer stop()
	channel := must(b.ns.RedisLive(id.Session, id.Stream))(t)
	for _, payload := range []string{
		"", "x", "3:1-0", "99:x", "3:1-01:v1:1", string(pack("1-0", "v", "2")), string(pack("1-0", "v")),
	} {
		must(c.Publish(t.Context(), channel, payload).Result())(t)
	}
	want := fill(t, b, id, 1)
	if got := receive(t, "frame", live); got == nil || got.Position != want.Position {
		t.Errorf("got %+v", got)
	}
	if n := b.Counts(); n != (Counts{Foreign: 5, Corrupt: 1, Unsupported: 1}) {
		t.Errorf("counted %+v", n)
	}
}
