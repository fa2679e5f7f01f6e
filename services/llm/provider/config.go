package provider

import "net/http"

// Config says where a provider is and what it is asked by default.
type Config struct {
	// Key authorises requests. Defaults to none.
	Key Secret
	// URL is the base of the provider's interface. Defaults to the provider's own.
	URL string
	// Model is asked when a request names none. Defaults to a small current one of the provider.
	Model string
	// Timeouts bounds the waits.
	Timeouts Timeouts
	// Client sends the requests; it should have no time-out of its own. Defaults to a new one with proxies from the
	// environment.
	Client *http.Client
}
