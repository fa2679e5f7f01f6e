package embedded_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded"
)

// holdDir names the directory that this test binary opens, when it is started once more as another process.
const holdDir = "WOODWORK_TEST_HOLD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdDir); dir != "" {
		hold(dir)
	}

	goleak.VerifyTestMain(m)
}

// hold opens a server on dir, says so on stdout and waits to be killed.
func hold(dir string) {
	if _, err := embedded.Start(testContext(), embedded.Config{Dir: dir}); err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}

	fmt.Fprintln(os.Stdout, "holding")
	select {}
}
