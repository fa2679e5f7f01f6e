package subjects_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/subjects"
)

// The values in this test are in use in brokers, as those of the golden tests are.
func TestNamesOfMessages(t *testing.T) {
	t.Parallel()

	for want, build := range map[string]func() (string, error){
		"_msg-llm":              func() (string, error) { return subjects.MessageBox("llm") },
		"_tried.s1._msg-llm.m1": func() (string, error) { return subjects.TriedKey("s1", "_msg-llm", "m1") },
		"_published.s1.msg-1":   func() (string, error) { return subjects.PublishedKey("s1", "msg-1") },
		"_subscriber._app.name": func() (string, error) { return subjects.SubscriberKey(subjects.AppSession, "name") },
	} {
		if got, err := build(); got != want || err != nil {
			t.Errorf("built %q, %v; want %q", got, err, want)
		}
	}

	for _, bad := range []string{"", "a.b", "*", strings.Repeat("x", 60)} {
		if box, err := subjects.MessageBox(bad); err == nil {
			t.Errorf("message box of %q is %q", bad, box)
		}
	}

	for _, other := range []string{"llm", "_msg-", "_msg-a.b", "msg-llm"} {
		if component, ok := subjects.ParseMessageBox(other); ok {
			t.Errorf("%q is the message box of %q", other, component)
		}
	}
}

func TestParseMessageBoxIsTheInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		component := ids().Filter(func(s string) bool { return len(s) <= 59 }).Draw(t, "component")

		box, err := subjects.MessageBox(component)
		if err != nil {
			t.Fatal(err)
		}

		if got, ok := subjects.ParseMessageBox(box); got != component || !ok {
			t.Fatalf("%q became %q, %v", component, got, ok)
		}
	})
}
