package openai

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

func ask(t *testing.T, step ...providertest.Step) (*providertest.Server, string, provider.Result, error) {
	t.Helper()

	s := providertest.New(step...)
	t.Cleanup(s.Close)

	var got strings.Builder

	m := New(Config{URL: s.URL() + "/v1/", Client: s.Client()})
	res, err := m.Stream(t.Context(), provider.Request{
		Model: "llama", MaxTokens: 9, Messages: []provider.Message{{Role: provider.User, Text: "hi"}},
	}, func(text string) error {
		got.WriteString(text)

		return nil
	})

	return s, got.String(), res, err
}

func TestCompatibleServerWithoutKeyUsageAndLastLine(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	s, text, res, err := ask(t, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(0), format.Delta("hello"), providertest.OpenAIFinish("length"))
	})

	if text != "hello" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}

	want := provider.Result{
		Provider: "openai", Model: providertest.Model, ID: providertest.ID, FinishReason: "length",
	}
	if diff := cmp.Diff(want, res); diff != "" {
		t.Error(diff)
	}

	r := s.Requests()[0]
	if auth, sent := r.Header["Authorization"]; sent || r.Path != "/v1/chat/completions" {
		t.Errorf("authorization %q, path %q", auth, r.Path)
	}

	for _, part := range []string{`"include_usage":true`, `"max_tokens":9`, `"model":"llama"`} {
		if !strings.Contains(string(r.Body), part) {
			t.Errorf("the request lacks %s: %s", part, r.Body)
		}
	}
}

func TestServerThatRefusesToReportUsageIsAskedWithout(t *testing.T) {
	t.Parallel()

	format := providertest.OpenAI()
	s, text, _, err := ask(t, func(c *providertest.Conn) {
		c.Refuse(400, format.Refusal("invalid_request_error", "Unrecognized request argument supplied: stream_options"))
	}, func(c *providertest.Conn) {
		c.Events()
		c.Send(format.Start(0), format.Delta("hello"), providertest.OpenAIFinish("stop"))
	})

	if text != "hello" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}

	if r := s.Requests(); len(r) != 2 || strings.Contains(string(r[1].Body), "stream_options") {
		t.Errorf("requests: %s", r)
	}
}

func TestErrorEventsOfCompatibleServers(t *testing.T) {
	t.Parallel()

	for event, want := range map[string]provider.Kind{
		`{"error":{"message":"no memory","type":"server_error","code":null}}`:               provider.KindUnavailable,
		`{"error":{"message":"slow","type":"x","code":429}}`:                                provider.KindRateLimited,
		`{"error":{"message":"out of memory","code":500}}`:                                  provider.KindUnavailable,
		`{"error":{"message":"bad","type":"invalid_request_error"}}`:                        provider.KindRejected,
		`{"error":"the model crashed"}`:                                                     provider.KindUnavailable,
		`{"error":17}`:                                                                      provider.KindUnavailable,
		`{"error":{"message":"This model's maximum context length is 9 tokens","code":""}}`: provider.KindTooLong,
	} {
		_, _, _, err := ask(t, func(c *providertest.Conn) {
			c.Events()
			c.Send("data: " + event + "\n\n")
		})

		e, ok := err.(*provider.Error) //nolint:errorlint // the contract says it is this type itself
		if !ok || e.Kind != want {
			t.Errorf("%s: got %v, want %s", event, err, want)
		}
	}
}

func TestRefusalOfTheModelIsAnAnswer(t *testing.T) {
	t.Parallel()

	_, text, _, err := ask(t, func(c *providertest.Conn) {
		c.Events()
		c.Send("data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I must not.\"}},"+
			"{\"index\":1,\"delta\":{\"content\":\"another choice\"}}]}\n\n", providertest.OpenAIFinish("stop"))
	})
	if text != "I must not." || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestLimitIsNamedAsTheServerKnowsIt(t *testing.T) {
	t.Parallel()

	for url, want := range map[string]string{"": "max_completion_tokens", "http://127.0.0.1:11434/v1": "max_tokens"} {
		m := New(Config{URL: url})

		body, err := json.Marshal(m.params("x", provider.Request{MaxTokens: 5}))
		if err != nil {
			t.Fatal(err)
		}

		if !strings.Contains(string(body), `"`+want+`":5`) {
			t.Errorf("%q: %s", url, body)
		}
	}
}
