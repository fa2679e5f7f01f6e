package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")

		if r.URL.Path != "/healthz" || r.URL.RawQuery != "js-server-only=true" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	cases := map[string]struct {
		args []string
		code int
		says string
	}{
		"healthy":   {[]string{server.URL + "/healthz?js-server-only=true"}, 0, ""},
		"unhealthy": {[]string{server.URL + "/other"}, 1, "503"},
		"no server": {[]string{"http://127.0.0.1:1/"}, 1, "refused"},
		"no URL":    {nil, 2, "usage"},
		"bad URL":   {[]string{"::"}, 1, "read URL"},
	}
	for name, c := range cases {
		var stderr strings.Builder
		if got := run(c.args, &stderr); got != c.code || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: exit code %d and %q, want %d and %q", name, got, stderr.String(), c.code, c.says)
		}
	}
}
