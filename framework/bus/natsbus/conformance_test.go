package natsbus

import (
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, bustest.Features{Lease: time.Second}, func(t *testing.T) bustest.Harness {
		t.Helper()
		url := embeddedtest.Run(t).URL()

		return harness(url)
	})
}

func harness(url string) bustest.Harness {
	return bustest.Harness{
		Open: func(t testing.TB) bus.Bus {
			t.Helper()

			return must(Open(t.Context(), Config{URL: url, AppendTimeout: 2 * time.Second}))(t)
		},
		Cut: func(t testing.TB, b bus.Bus) {
			t.Helper()
			if nb, ok := b.(*Bus); ok {
				if err := nb.nc.ForceReconnect(); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
}
