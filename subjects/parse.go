package subjects

import (
	"fmt"
	"strconv"
	"strings"
)

// root is what every subject begins with.
const root = "ww."

// Subject is what a subject says. Which fields are set depends on the kind.
type Subject struct {
	App  string
	Kind Kind
	// Shard is set for KindLog, KindLive and KindSignal.
	Shard int
	// Session is set for every kind but KindCall.
	Session string
	// Stream is set for KindLog, KindLive and KindSignal.
	Stream string
	// Component is set for KindInbox, KindReady, KindDead and KindCall.
	Component string
	// Turn is set for KindDead.
	Turn string
	// Instance is set for KindCall.
	Instance string
}

// String returns the subject that says so. It is the inverse of [Parse] for everything that Parse returns.
func (s Subject) String() string {
	switch s.Kind {
	case KindLog, KindLive, KindSignal:
		return streamSubject(s.App, s.Kind, strconv.Itoa(s.Shard), s.Session, s.Stream)
	case KindInbox, KindReady:
		return mailboxSubject(s.App, s.Kind, s.Component, s.Session)
	case KindCall:
		return mailboxSubject(s.App, s.Kind, s.Component, s.Instance)
	case KindDead:
		return mailboxSubject(s.App, s.Kind, s.Component, s.Session) + "." + s.Turn
	default:
		return controlSubject(s.App, s.Session)
	}
}

// Parse says what a subject is about. It returns an error that wraps [ErrInvalid] for anything that no [Namespace]
// builds, wildcards included; whether the shard is the session's only the namespace knows. A parsed subject shares the
// memory of s.
func Parse(s string) (Subject, error) {
	if sub, ok := parse(s); ok {
		return sub, nil
	}

	return Subject{}, fmt.Errorf("subject %s is not one of Woodwork's: %w", quote(s), ErrInvalid)
}

// Ours reports whether a subject is in what belongs to Woodwork, whether or not a [Namespace] builds it.
func Ours(s string) bool { return strings.HasPrefix(s, root) }

func parse(s string) (Subject, bool) {
	rest, ok := strings.CutPrefix(s, root)
	if !ok {
		return Subject{}, false
	}
	app, rest, _ := strings.Cut(rest, ".")
	kind, rest, _ := strings.Cut(rest, ".")
	sub := Subject{App: app, Kind: Kind(kind)}
	switch sub.Kind {
	case KindLog, KindLive, KindSignal:
		shard, rest, _ := strings.Cut(rest, ".")
		sub.Session, sub.Stream, _ = strings.Cut(rest, ".")
		sub.Shard, ok = parseShard(shard)
		ok = ok && ValidID(sub.Stream)
	case KindInbox, KindReady:
		sub.Component, sub.Session, _ = strings.Cut(rest, ".")
		ok = ValidID(sub.Component)
	case KindDead:
		sub.Component, rest, _ = strings.Cut(rest, ".")
		sub.Session, sub.Turn, _ = strings.Cut(rest, ".")
		ok = ValidID(sub.Component) && ValidID(sub.Turn)
	case KindCall:
		sub.Component, sub.Instance, _ = strings.Cut(rest, ".")

		return sub, validApp(app) && ValidID(sub.Component) && ValidID(sub.Instance)
	case KindControl:
		sub.Session = rest
	default:
		return Subject{}, false
	}

	return sub, ok && validApp(app) && ValidID(sub.Session)
}

// parseShard takes a shard only as it is built: decimal, in range, without sign or leading zeros.
func parseShard(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n >= MaxShards || s[0] == '0' && len(s) > 1 {
		return 0, false
	}

	return int(n), true
}
