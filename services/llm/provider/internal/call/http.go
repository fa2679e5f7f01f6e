package call

import (
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 15 * time.Second
	idlePerHost = 64
)

// Client returns c, or a client of its own with proxies from the environment. It has no time-out: a [Watch] bounds
// requests, since an answer may stream for minutes.
func Client(c *http.Client) *http.Client {
	if c != nil {
		return c
	}

	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}}
}
