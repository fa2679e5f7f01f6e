package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/woodwork-go/woodwork/subjects"
)

// Redis is the operator of a redis-server.
type Redis struct {
	// Addr is where the server is. Required.
	Addr string

	names subjects.Namespace
}

// errNoLetters: what is asked for can't be done on this server.
var errNoLetters = errors.New("the turns of all sessions are not in one place on Redis")

// Letters can't be done here.
func (*Redis) Letters(context.Context) error { return errNoLetters }

const (
	// chooseScript returns the keys that fit a pattern.
	chooseScript = `return redis.call('KEYS', ARGV[1])`
	// deleteScript deletes them.
	deleteScript = `for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return {}`
)

// Logs deletes all keys of one session.
func (r *Redis) Logs(ctx context.Context, pick int) (among func(session string) bool, err error) {
	session, err := r.choose(ctx, pick)
	if err != nil {
		return nil, err
	}
	err = insist(ctx, r.Addr, func(c net.Conn) error {
		_, err := command(c, "EVAL", deleteScript, "0", "*{"+session+"}:*")

		return err
	})

	return func(s string) bool { return s == session }, err
}

// choose returns a session that has a timeline.
func (r *Redis) choose(ctx context.Context, pick int) (session string, err error) {
	const one = "one"
	timeline, err := r.names.RedisLog(one, subjects.Timeline)
	if err != nil {
		return "", err
	}
	before, after, _ := strings.Cut(timeline, one)
	err = insist(ctx, r.Addr, func(c net.Conn) error {
		keys, err := command(c, "EVAL", chooseScript, "0", before+"*"+after)
		if err == nil && len(keys) == 0 {
			err = fmt.Errorf("no session to be wiped: %w", errAnswer)
		}
		if err == nil {
			session = strings.TrimSuffix(strings.TrimPrefix(keys[pick%len(keys)], before), after)
		}

		return err
	})

	return session, err
}
