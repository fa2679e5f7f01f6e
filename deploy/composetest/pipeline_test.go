package composetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPipeline(t *testing.T) {
	t.Parallel()
	needEngine(t)

	const session, prompt = "first", "how far is the moon?"

	p := newProject(t)
	p.up(t)

	u := p.user(t)
	turn := u.converse(t, session, prompt)

	p.wantHardened(t)
	p.wantScaled(t, u)

	// Sessions are on the broker's volume: all containers can go.
	p.run(t, "down", "--timeout=30")
	p.up(t)
	p.user(t).wantAnswer(t, session, turn, prompt)

	p.run(t, "down", "--volumes", "--timeout=30")

	if left := p.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// wantScaled checks that three workers answer where one did.
func (p *project) wantScaled(t *testing.T, u *user) {
	t.Helper()
	p.up(t, "--no-recreate", "--scale=llm=3")

	if got := len(p.containers(t, "llm")); got != 3 {
		t.Fatalf("%d containers of llm run, want 3", got)
	}

	for i := range 6 {
		u.converse(t, fmt.Sprintf("scaled-%d", i), fmt.Sprintf("prompt number %d", i))
	}
}

// wantHardened checks what each container may do.
func (p *project) wantHardened(t *testing.T) {
	t.Helper()

	const format = `{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}`

	want := []string{"65532:65532", "true", "[ALL]", "[no-new-privileges:true]"}

	for _, service := range []string{"nats", "input", "llm", "output"} {
		for _, id := range p.containers(t, service) {
			if diff := cmp.Diff(want, docker(t, "inspect", "--format", format, id)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", service, diff)
			}
		}
	}

	if all := slices.Concat(p.containers(t, "nats"), p.containers(t, "llm")); len(all) != 2 {
		t.Errorf("%d containers of nats and llm run, want 2", len(all))
	}
}
