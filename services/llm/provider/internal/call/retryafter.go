package call

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter caps what a provider can ask for, so that no number overflows.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long a reply asks to wait: by Retry-After-Ms, or by Retry-After in seconds or as an HTTP date
// seen from now. It returns 0 when the reply doesn't ask or what it asks can't be understood, and a day at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if d, ok := duration(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return d
	}

	value := h.Get("Retry-After")
	if d, ok := duration(value, time.Second); ok {
		return d
	}

	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}

	return 0
}

func duration(value string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= 0) { // also refuses NaN
		return 0, false
	}

	if n > float64(maxRetryAfter/unit) {
		return maxRetryAfter, true
	}

	return time.Duration(n * float64(unit)), true
}
