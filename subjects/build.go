package subjects

import "strconv"

// Kind says what a subject carries. Its value is the token in the subject.
type Kind string

// The kinds of subjects.
const (
	// KindLog carries frames to where they are stored.
	KindLog Kind = "log"
	// KindLive carries stored frames to readers.
	KindLive Kind = "live"
	// KindSignal carries hints about a stream between those who work on it; nothing of it is stored.
	KindSignal Kind = "sig"
	// KindInbox carries turns.
	KindInbox Kind = "inbox"
	// KindReady carries whether a mailbox is scheduled.
	KindReady Kind = "ready"
	// KindDead carries turns that were set aside.
	KindDead Kind = "dead"
	// KindCall carries requests to an instance that is there now; nothing of it is stored.
	KindCall Kind = "call"
	// KindControl carries commands about a session.
	KindControl Kind = "ctl"
)

// Log returns the subject under which a stream's frames are stored. Like the other builders it returns an
// [*InvalidIDError] for a session, stream or component that is no id.
func (n Namespace) Log(session, stream string) (string, error) {
	return n.ofStream(KindLog, session, stream)
}

// Live returns the subject under which a stream's frames reach readers after they were stored.
func (n Namespace) Live(session, stream string) (string, error) {
	return n.ofStream(KindLive, session, stream)
}

// Signal returns the subject of hints about a stream, such as how far its reader is.
func (n Namespace) Signal(session, stream string) (string, error) {
	return n.ofStream(KindSignal, session, stream)
}

// Inbox returns the subject under which the turns of a component in a session are posted.
func (n Namespace) Inbox(component, session string) (string, error) {
	return n.ofMailbox(KindInbox, component, session)
}

// Ready returns the subject of the register that says whether a mailbox is scheduled.
func (n Namespace) Ready(component, session string) (string, error) {
	return n.ofMailbox(KindReady, component, session)
}

// Dead returns the subject under which one turn of a component in a session is set aside: one of its own, so that it is
// set aside once.
func (n Namespace) Dead(component, session, turn string) (string, error) {
	mailbox, err := n.ofMailbox(KindDead, component, session)
	if err != nil {
		return "", err
	}
	if err := CheckID("turn", turn); err != nil {
		return "", err
	}

	return mailbox + "." + turn, nil
}

// Call returns the subject of requests to an instance of a component.
func (n Namespace) Call(component, instance string) (string, error) {
	if err := CheckID("component", component); err != nil {
		return "", err
	}
	if err := CheckID("instance", instance); err != nil {
		return "", err
	}

	return n.mailbox(KindCall, component, instance), nil
}

// Control returns the subject of commands to whoever works on a session.
func (n Namespace) Control(session string) (string, error) {
	if err := CheckID("session", session); err != nil {
		return "", err
	}

	return n.control(session), nil
}

// LogWildcard returns the subjects that a shard's JetStream stream stores, and the source of its republishing.
func (n Namespace) LogWildcard(shard int) string { return n.ofShard(KindLog, shard) }

// LiveWildcard returns the subjects that a shard's frames are republished to; with LogWildcard as the source it is
// the destination.
func (n Namespace) LiveWildcard(shard int) string { return n.ofShard(KindLive, shard) }

// Wildcard returns the subject of everything in the application, for permissions.
func (n Namespace) Wildcard() string { return root + n.App() + ".>" }

// TurnsWildcards returns the subjects that the JetStream stream of turns stores: inboxes, registers and commands.
func (n Namespace) TurnsWildcards() []string {
	return []string{n.mailbox(KindInbox, "*", "*"), n.mailbox(KindReady, "*", "*"), n.control("*")}
}

// DeadWildcard returns the subjects that the JetStream stream of dead letters stores.
func (n Namespace) DeadWildcard() string { return n.mailbox(KindDead, "*", "*") + ".*" }

// InboxFilter returns the subjects under which a component's turns are posted, in whatever session.
func (n Namespace) InboxFilter(component string) (string, error) {
	return n.filter(KindInbox, component)
}

// ReadyFilter returns what the consumer of a component's scheduled mailboxes is filtered by.
func (n Namespace) ReadyFilter(component string) (string, error) {
	return n.filter(KindReady, component)
}

// DeadFilter returns what a listing of a component's dead letters is filtered by.
func (n Namespace) DeadFilter(component string) (string, error) {
	mailboxes, err := n.filter(KindDead, component)
	if err != nil {
		return "", err
	}

	return mailboxes + ".*", nil
}

func (n Namespace) filter(kind Kind, component string) (string, error) {
	if err := CheckID("component", component); err != nil {
		return "", err
	}

	return n.mailbox(kind, component, "*"), nil
}

func (n Namespace) ofStream(kind Kind, session, stream string) (string, error) {
	if err := CheckID("session", session); err != nil {
		return "", err
	}
	if err := CheckID("stream", stream); err != nil {
		return "", err
	}

	return streamSubject(n.App(), kind, strconv.Itoa(n.Shard(session)), session, stream), nil
}

func (n Namespace) ofMailbox(kind Kind, component, session string) (string, error) {
	if err := CheckID("component", component); err != nil {
		return "", err
	}
	if err := CheckID("session", session); err != nil {
		return "", err
	}

	return n.mailbox(kind, component, session), nil
}

// ofShard ends in '>' because a destination of republishing can't hold '*'.
func (n Namespace) ofShard(kind Kind, shard int) string {
	return root + n.App() + "." + string(kind) + "." + strconv.Itoa(shard) + ".>"
}

func (n Namespace) mailbox(kind Kind, component, session string) string {
	return mailboxSubject(n.App(), kind, component, session)
}

func (n Namespace) control(session string) string { return controlSubject(n.App(), session) }

// The three shapes of a subject. Each is one concatenation, which allocates once.

func streamSubject(app string, kind Kind, shard, session, stream string) string {
	return root + app + "." + string(kind) + "." + shard + "." + session + "." + stream
}

// mailboxSubject is about a component and a session, or one of its instances.
func mailboxSubject(app string, kind Kind, component, of string) string {
	return root + app + "." + string(kind) + "." + component + "." + of
}

func controlSubject(app, session string) string {
	return root + app + "." + string(KindControl) + "." + session
}
