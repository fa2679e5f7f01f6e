package provider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/anthropic"
	"github.com/woodwork-go/woodwork/services/llm/provider/openai"
)

func TestSecretDoesNotShow(t *testing.T) {
	t.Parallel()

	key := provider.Secret(canary)
	config := openai.Config{Key: key}

	var out bytes.Buffer

	values := []any{
		key, &key, config, &config,
		[]provider.Secret{key},
		map[provider.Secret]provider.Secret{"k": key},
		openai.New(config), anthropic.New(anthropic.Config{Key: key, Client: http.DefaultClient}),
		provider.WithRetry(openai.New(config), provider.Retry{}),
	}

	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%10.3s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}

		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}

		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)

		log := zerolog.New(&out)
		log.Info().Interface("v", v).Any("w", v).Msg("x")
	}

	hexed := fmt.Sprintf("%x", canary)
	for _, leak := range []string{canary, hexed, strings.ToUpper(hexed), "canary"} {
		if i := strings.Index(out.String(), leak); i >= 0 {
			t.Errorf("the key shows: %s", out.String()[max(0, i-80):i+30])
		}
	}
}
