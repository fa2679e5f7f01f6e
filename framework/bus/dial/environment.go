package dial

import (
	"errors"
	"fmt"
	"strings"
)

// address returns the URL in a variable, if it is of the kind that they are for.
func (r Request) address(name string, want Kind) (string, error) {
	url := r.Env(name)
	if url == "" {
		return "", nil
	}

	kind, err := KindOf(url)
	if err != nil {
		return "", fmt.Errorf("environment variable %s: %s: %w", name, Redact(url), err)
	}

	if !fits(kind, want) {
		return "", fmt.Errorf("environment variable %s: %w: the URL is one of %s; -server and %s take any",
			name, errOther, kind, EnvServer)
	}

	return url, nil
}

// redis returns the address of Redis that the environment has.
func (r Request) redis() (string, error) {
	own, err := r.address(EnvRedis, Redis)
	if err != nil || own != "" {
		return own, err
	}

	return r.address(envAnyRedis, Redis)
}

// nats returns the address of NATS that the environment has; it is empty but found when a context has it.
func (r Request) nats() (url string, found bool, err error) {
	url, err = r.address(envNATS, NATS)

	return url, url != "" || r.Env(envContext) != "" || r.Env(envOwnCtx) != "", err
}

// kind returns the bus of one kind. With server, WOODWORK_SERVER is one of the places where its address may be.
func (r Request) kind(word Kind, server bool) (string, error) {
	if url := r.Env(EnvServer); server && url != "" {
		if kind, err := KindOf(url); err == nil && fits(kind, word) {
			return url, nil
		}
	}

	switch word {
	case Redis:
		url, err := r.redis()
		if err == nil && url == "" {
			err = fmt.Errorf("%w: redis is asked for; set %s or %s, for example to redis://127.0.0.1:6379",
				errNoAddress, EnvRedis, envAnyRedis)
		}

		return url, err
	case Memory:
		return "memory:", nil
	default:
		url, found, err := r.nats()
		if err != nil || found {
			return url, err
		}

		return r.local()
	}
}

// local returns the address of NATS where nothing has one.
func (r Request) local() (string, error) {
	now, err := r.stage()
	if err != nil {
		return "", err
	}

	switch {
	case now == production || now == cloud:
		return "", fmt.Errorf("%w: %s=%s needs one; set %s or %s", errNoAddress, EnvStage, r.Env(EnvStage), envNATS, envAnyRedis)
	case r.Whole:
		return "embedded:", nil
	default:
		return DefaultURL, nil
	}
}

func (r Request) stage() (stage, error) {
	now, ok := stages()[strings.ToLower(r.Env(EnvStage))]
	if !ok {
		return "", fmt.Errorf("environment variable %s: %w %.40q: write development, staging, production or cloud",
			EnvStage, errWord, r.Env(EnvStage))
	}

	return now, nil
}

// automatic returns the bus where no kind is asked for by name.
func (r Request) automatic() (string, error) {
	if own, err := r.address(EnvRedis, Redis); err != nil || own != "" {
		return own, err
	}

	now, err := r.stage()
	if err != nil {
		return "", err
	}

	redis, redisErr := r.redis()

	nats, found, natsErr := r.nats()
	if err := errors.Join(redisErr, natsErr); err != nil {
		return "", err
	}

	both := found && redis != ""

	switch {
	case both && now == production:
		return redis, nil
	case both && now != cloud:
		return "", fmt.Errorf("%w: NATS and %s both have an address; set %s to nats or redis", errTwo, envAnyRedis, EnvBus)
	case found:
		return nats, nil
	case redis != "":
		return redis, nil
	case now == development:
		return "memory:", nil
	default:
		return r.local()
	}
}
