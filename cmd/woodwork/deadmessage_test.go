package main_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/envelope"
	"github.com/woodwork-go/woodwork/subjects"
)

// TestDeadMessages lists and shows messages that were set aside, of which one can't be read.
func TestDeadMessages(t *testing.T) {
	t.Parallel()

	d := &dump{t: t, url: embeddedtest.Run(t).URL()}

	b, err := natsbus.Open(t.Context(), natsbus.Config{URL: d.url})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })

	text, err := envelope.Message{
		ID: "good", Session: "s1", EventType: "order.made", Source: "shop", Target: "till", Payload: []byte(`{"card":"secret"}`),
	}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}

	box, boxErr := subjects.MessageBox("till")

	for id, body := range map[string][]byte{"good": text, "bad": []byte("a secret that is no message")} {
		l := bus.Letter{ID: id, Component: box, Session: "s1", Body: body, Deliveries: 3}
		boxErr = errors.Join(boxErr, b.Bury(t.Context(), &bus.DeadLetter{Letter: l, Reason: "it broke", At: time.Now()}))
	}

	if boxErr != nil {
		t.Fatal(boxErr)
	}

	table, good, bad := d.run("ls"), d.run("show", "good"), d.run("show", "bad")
	wantText(t, "ls", table, "good", "bad", box, "s1", "it broke")
	wantText(t, "ls of the mailbox", d.run("ls", "-component", box), "good", "bad")
	wantText(t, "show", good, "good", box, "order.made", "shop", "till", "17 bytes")
	wantText(t, "show of one that can't be read", bad, "bad", box, "27 bytes")

	asJSON := d.run("ls", "-json") + d.run("show", "-json", "good")
	wantText(t, "json", asJSON, `"event_type":"order.made"`, `"input_bytes":17`)

	if strings.Contains(table+good+bad+asJSON, "secret") {
		t.Errorf("content is printed unasked:\n%s%s%s%s", table, good, bad, asJSON)
	}

	wantText(t, "show -input", d.run("show", "-input", "good"), `{"card":"secret"}`)
	wantText(t, "show -input of one that can't be read", d.run("show", "-input", "bad"), "a secret that is no message")
}
