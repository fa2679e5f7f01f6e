package anthropic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUsageIncludesTheCacheAndTheLastCount(t *testing.T) {
	t.Parallel()

	s := providertest.New(func(c *providertest.Conn) {
		c.Events()
		c.Send(
			`event: message_start`+"\n"+`data: {"type":"message_start","message":{"id":"m1","model":"claude-x","content":[],`+
				`"usage":{"input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":1}}}`+"\n\n",
			`event: content_block_start`+"\n"+
				`data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Be"}}`+"\n\n",
			`event: content_block_delta`+"\n"+
				`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"gun"}}`+"\n\n",
			`event: message_delta`+"\n"+
				`data: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":42}}`+"\n\n",
			`event: message_stop`+"\n"+`data: {"type":"message_stop"}`+"\n\n")
	})
	t.Cleanup(s.Close)

	var got string

	res, err := New(Config{URL: s.URL(), Client: s.Client()}).Stream(t.Context(), provider.Request{},
		func(text string) error { got += text; return nil })
	if err != nil || got != "Begun" {
		t.Errorf("got %q, %v", got, err)
	}

	want := provider.Result{
		Provider: "anthropic", Model: "claude-x", ID: "m1", FinishReason: "max_tokens", InputTokens: 123, OutputTokens: 42,
	}
	if diff := cmp.Diff(want, res); diff != "" {
		t.Error(diff)
	}

	if key, sent := s.Requests()[0].Header["X-Api-Key"]; sent {
		t.Errorf("a key was sent though none is configured: %q", key)
	}
}

func TestLimitHasADefault(t *testing.T) {
	t.Parallel()

	body, err := json.Marshal(params("x", provider.Request{System: "s"}))
	if err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(string(body), `"max_tokens":8192`) {
		t.Errorf("got %s", body)
	}
}
