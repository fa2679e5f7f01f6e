package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/services/input/web"
	"github.com/woodwork-go/woodwork/subjects"
)

// cancelAnswer is what the edge answered to a cancel.
type cancelAnswer struct {
	Status  int    `json:"-"`
	Session string `json:"session"`
	Turn    string `json:"turn"`
	Reason  string `json:"reason"`
	Error   string `json:"error"`
}

// cancel asks for a cancel.
func (e *edge) cancel(path string) cancelAnswer {
	e.t.Helper()

	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodDelete, e.url+path, http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	response, err := client.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()

	a := cancelAnswer{Status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		e.t.Fatal(err)
	}

	return a
}

// cancels returns the events that a session's control log holds.
func (e *edge) cancels(id string) []session.Cancel {
	e.t.Helper()

	w, err := session.NewWatch(e.t.Context(), e.store, id)
	if err != nil {
		e.t.Fatal(err)
	}
	defer w.Close()

	return w.Known()
}

func TestATurnIsCancelled(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	turn := e.post("/v1/sessions/s1/turns", strings.NewReader("tell me everything"), nil)

	got := e.cancel("/v1/sessions/s1/turns/" + turn.Turn + "?reason=that+will+do")

	want := cancelAnswer{Status: http.StatusAccepted, Session: "s1", Turn: turn.Turn, Reason: "that will do"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}

	if diff := diffCancels([]session.Cancel{{Root: turn.Turn, Reason: "that will do"}}, e.cancels("s1")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// diffCancels compares cancels, wherever they stand in their log.
func diffCancels(want, got []session.Cancel) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(session.Cancel{}, "At"))
}

func TestAllEarlierTurnsAreCancelled(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	got := e.cancel("/v1/sessions/s1/turns")

	want := cancelAnswer{Status: http.StatusAccepted, Session: "s1", Reason: "cancelled by the user"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}

	if diff := diffCancels([]session.Cancel{{Reason: "cancelled by the user"}}, e.cancels("s1")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestACancelFindsASessionByItsForeignID(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})

	for path, id := range map[string]string{"user%401%2Fchat": "user@1/chat", "plain": "plain"} {
		posted := e.post("/v1/sessions/"+path+"/turns", strings.NewReader("hi"), nil)

		if got := e.cancel("/v1/sessions/" + path + "/turns/" + posted.Turn); got.Session != posted.Session {
			t.Errorf("posted to %s, cancelled in %s", posted.Session, got.Session)
		}

		if n := len(e.cancels(subjects.Encode(id))); n != 1 {
			t.Errorf("%s: %d cancels", id, n)
		}
	}
}

func TestACancelThatCanNotBeIsRefused(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})

	for path, want := range map[string]string{
		"/v1/sessions/s1/turns/a%20b":                                  "turn",
		"/v1/sessions/s1/turns/_control":                               "reserved",
		"/v1/sessions/s1/turns/" + strings.Repeat("x", 65):             "turn",
		"/v1/sessions/s1/turns/t1?reason=" + strings.Repeat("x", 1001): "1000 bytes",
		"/v1/sessions/s1/turns/t1?reason=%ff":                          "text",
	} {
		if got := e.cancel(path); got.Status != http.StatusBadRequest || !strings.Contains(got.Error, want) {
			t.Errorf("%.40s: got %d %q, want 400 with %q", path, got.Status, got.Error, want)
		}
	}

	if got := e.cancels("s1"); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
}

func TestACancelThatTheBusDidNotConfirmIsSaid(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	if err := e.bus.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	got := e.cancel("/v1/sessions/s1/turns/t1")
	if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Error, "stored the cancel") {
		t.Errorf("got %+v", got)
	}
}

func TestThePolicyDecidesWhatBecomesOfEarlierTurns(t *testing.T) {
	t.Parallel()

	e := start(t, web.Config{})
	first := e.post("/v1/sessions/s1/turns", strings.NewReader("one"), nil) // nobody works on it

	for _, streamed := range []bool{false, true} {
		for policy, status := range map[string]int{
			"queue": http.StatusAccepted, "interrupt": http.StatusAccepted, "reject": http.StatusConflict, "shout": http.StatusBadRequest,
		} {
			before := len(e.cancels("s1"))
			head := map[string]string{"Idempotency-Key": ""}

			var body interface {
				Read(p []byte) (int, error)
			} = strings.NewReader("two")
			if streamed {
				body = struct{ *strings.Reader }{strings.NewReader("two")}
			}

			got := e.post("/v1/sessions/s1/turns?policy="+policy, body, head)
			if got.Status != status {
				t.Errorf("%s: status %d, want %d: %s", policy, got.Status, status, got.Error)
			}

			if cancels := len(e.cancels("s1")) - before; (policy == "interrupt") != (cancels == 1) {
				t.Errorf("%s: %d cancels", policy, cancels)
			}

			if status != http.StatusAccepted && got.Error == "" {
				t.Errorf("%s: the refusal says nothing", policy)
			}
		}
	}

	if first.Status != http.StatusAccepted {
		t.Errorf("the first turn: %+v", first)
	}
}
