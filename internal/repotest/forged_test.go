package repotest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/internal/repotest"
)

// forged is a file and what its rule says of it; want is empty for a file that breaks nothing.
type forged struct{ path, src, want string }

const (
	importRule    = "imports point inward"
	signatureRule = "technologies stay in their folder"
	literalRule   = "names of the broker are built in subjects"
	interfaceRule = "interfaces are small"
	configRule    = "config fields say their default"
	initRule      = "no init"
	sleepRule     = "nothing sleeps"
	docRule       = "packages say what they are for"
	pathRule      = "no path of one machine"
)

func imports(path, importPath, want string) forged {
	return forged{path, `package p; import _ "` + importPath + `"`, want}
}

func importBreaches() []forged {
	const repo = "github.com/woodwork-go/woodwork"

	return []forged{
		imports("framework/stream/a.go", "github.com/nats-io/nats.go", "only framework/bus/natsbus may"),
		imports("framework/stream/a_test.go", "github.com/nats-io/nats.go", "only framework/bus/natsbus may"),
		imports("framework/bus/natsbus/a.go", "github.com/nats-io/nats.go/jetstream", ""),
		imports("framework/bus/natsbusx/a.go", "github.com/nats-io/nats.go/jetstream", "only framework/bus/natsbus may"),
		imports("embedded/a.go", "github.com/nats-io/nats.go", "only framework/bus/natsbus may"),
		imports("embedded/a_test.go", "github.com/nats-io/nats.go", ""),
		imports("framework/bus/natsbus/a.go", "github.com/synadia-io/orbit.go/natscontext", ""),
		imports("cmd/woodwork/a.go", "github.com/synadia-io/orbit.go/natscontext", "only framework/bus/natsbus may"),
		imports("embedded/a.go", "github.com/nats-io/nats-server/v2/server", ""),
		imports("framework/bus/natsbus/a_test.go", "github.com/nats-io/nats-server/v2/server", "only embedded may"),
		imports("framework/bus/redisbus/a.go", "github.com/redis/go-redis/v9", ""),
		imports("framework/session/a.go", "github.com/redis/go-redis/v9", "only framework/bus/redisbus may"),
		imports("framework/telemetry/a.go", "go.opentelemetry.io/otel/trace", ""),
		imports("framework/turn/a.go", "go.opentelemetry.io/otel/trace", "only framework/telemetry"),
		imports("services/llm/openai/a.go", "github.com/openai/openai-go/v3", ""),
		imports("services/input/a.go", "github.com/openai/openai-go/v3", "only services/llm may"),
		imports("framework/a.go", "github.com/anthropics/anthropic-sdk-go", "only services/llm may"),
		imports("subjects/a.go", "crypto/sha256", ""),
		imports("subjects/a.go", "golang.org/x/crypto/sha3", "subjects needs the standard library only"),
		imports("subjects/a.go", repo+"/framework/bus", "subjects needs the standard library only"),
		imports("subjects/a_test.go", "pgregory.net/rapid", ""),
		imports("framework/a.go", repo+"/services/llm", "a library knows no program"),
		imports("framework/a_test.go", repo+"/cmd/woodwork", "a library knows no program"),
		imports("embedded/a.go", repo+"/services/llm", "a library knows no program"),
		imports("framework/bus/a.go", repo+"/subjects", "the port depends on nothing of this repository"),
		imports("framework/bus/dial/a.go", repo+"/framework/bus/natsbus", ""),
		imports("framework/bus/natsbus/a.go", repo+"/subjects", ""),
		imports("framework/bus/natsbus/a.go", repo+"/framework/bus/membus", "an adapter knows no other adapter"),
		imports("framework/bus/membus/a_test.go", repo+"/framework/bus/redisbus", "an adapter knows no other adapter"),
		imports("framework/bus/natsbus/a.go", repo+"/framework/bus/internal/wire", ""),
		imports("framework/bus/redisbus/a_test.go", repo+"/framework/bus/internal/wire", ""),
		imports("framework/bus/a.go", repo+"/framework/bus/internal/wire", "the port depends on nothing of this repository"),
		imports("framework/bus/internal/wire/a.go", repo+"/framework/bus", ""),
		imports("framework/bus/internal/wire/a.go", repo+"/framework/bus/natsbus", "know the adapters"),
		imports("framework/bus/internal/wire/a.go", "github.com/redis/go-redis/v9", "only framework/bus/redisbus may"),
		imports("framework/stream/a.go", repo+"/framework/bus/membus", "only framework and framework/bus/dial know the adapters"),
		imports("framework/a.go", repo+"/framework/bus/natsbus", ""),
		imports("framework/stream/a_test.go", repo+"/framework/bus/membus", ""),
		imports("services/llm/a.go", repo+"/embedded", "a service uses the broker that is there"),
		imports("services/llm/a_test.go", repo+"/embedded/embeddedtest", ""),
		imports("cmd/woodwork/a.go", repo+"/embedded", ""),
		imports("services/llm/a.go", "testing", "test code stays out of binaries"),
		imports("services/llm/a.go", "github.com/google/go-cmp/cmp", "test code stays out of binaries"),
		imports("cmd/woodwork/a.go", repo+"/embedded/embeddedtest", "test code stays out of binaries"),
		imports("framework/a.go", repo+"/framework/bus/bustest", "test code stays out of binaries"),
		imports("framework/bus/bustest/a.go", "testing", ""),
	}
}

func signatureBreaches() []forged {
	const (
		head  = "package p\nimport (\n\"github.com/nats-io/nats.go\"\njs \"github.com/nats-io/nats.go/jetstream\"\n)\n"
		redis = "package p\nimport \"github.com/redis/go-redis/v9\"\n"
		brk   = "package p\nimport \"github.com/failsafe-go/failsafe-go\"\n"
		srv   = "package p\nimport \"github.com/nats-io/nats-server/v2/server\"\n"
		bus   = "framework/bus/natsbus/a.go"
	)

	return []forged{
		{bus, head + "func Open(c *nats.Conn) {}", "nats.Conn"},
		{bus, head + "func Open() (s []js.Stream, err error) { return }", "js.Stream"},
		{bus, head + "func Open(f func(m map[string]js.Msg)) {}", "js.Msg"},
		{bus, head + "func Open[T nats.Option](t T) {}", "nats.Option"},
		{bus, head + "type Bus struct{}\nfunc (b *Bus) Conn() *nats.Conn { return nil }", "nats.Conn"},
		{bus, head + "type Bus[T any] struct{}\nfunc (b *Bus[T]) Conn() *nats.Conn { return nil }", "nats.Conn"},
		{bus, head + "type Config struct{ Options []nats.Option }", "nats.Option"},
		{bus, head + "type Config struct{ TLS struct{ Option nats.Option } }", "nats.Option"},
		{bus, head + "type Bus struct{ *nats.Conn }", "nats.Conn"},
		{bus, head + "type Log interface{ Msg() js.Msg }", "js.Msg"},
		{bus, head + "type Msg = js.Msg", "js.Msg"},
		{bus, head + "type Msg js.Msg", "js.Msg"},
		{bus, head + "type Box[T js.Msg] struct{}", "js.Msg"},
		{bus, head + "var Default *nats.Conn", "nats.Conn"},
		{"services/llm/a.go", redis + "func Open(c *redis.Client) {}", "redis.Client"},
		{"framework/a.go", brk + "type Policy struct{ Executor failsafe.Executor[any] }", "failsafe.Executor"},
		{"embedded/a.go", srv + "func (s *Server) Raw() *server.Server { return nil }", "server.Server"},
		{bus, head + "func open(c *nats.Conn) {}", ""},
		{bus, head + "type bus struct{}\nfunc (b *bus) Conn() *nats.Conn { return nil }", ""},
		{bus, head + "type Bus struct{ conn *nats.Conn; stream js.Stream }", ""},
		{bus, head + "func Open() { var c *nats.Conn; _ = c }", ""},
		{bus, head + "var conn *nats.Conn", ""},
		{"framework/bus/natsbus/a_test.go", head + "func Open(c *nats.Conn) {}", ""},
		{"framework/a.go", "package p\nimport \"net\"\nfunc Open(c net.Conn) {}", ""},
		{"services/llm/main.go", strings.Replace(redis, "package p", "package main", 1) + "func Open(c *redis.Client) {}", ""},
	}
}

func literalBreaches() []forged {
	says := func(path, s, want string) forged { return forged{path, "package p\nvar s = " + s, want} }
	const spelt = "spells out a name of the broker"

	return []forged{
		says("framework/a.go", `"ww.shop.log"`, spelt),
		says("framework/bus/natsbus/a.go", "`ww.`", spelt),
		says("framework/bus/natsbus/a_test.go", `"publish to ww.shop.ctl.a"`, spelt),
		says("framework/bus/natsbus/a.go", `"WW_" + app`, spelt),
		says("cmd/woodwork/a.go", `"KV_WW_shop_registry"`, spelt),
		says("framework/a.go", `"\x77\x77.shop"`, spelt),
		says("framework/a.go", `"$JS.API.INFO"`, spelt),
		says("services/llm/a.go", `"$KV.bucket.key"`, spelt),
		says("framework/bus/natsbus/a.go", `"$JS.API.INFO" + "$KV.a"`, ""),
		says("subjects/a.go", `"ww." + "WW_"`, ""),
		says("framework/a.go", `"www.example.com"`, ""),
		says("framework/a.go", `"hello.ww"`, ""),
		says("framework/a.go", `"Ww-Stream"`, ""),
		says("framework/bus/bustest/a.go", `"$JS"`, ""),
		says("framework/a.go", `"$SYS.REQ.SERVER.PING"`, spelt),
		says("framework/a.go", `"WOODWORK_ROOT" // ww.shop is what subjects builds`, ""),
	}
}

func shapeBreaches() map[string][]forged {
	config := func(fields string) string { return "package p\ntype LogConfig struct {\n" + fields + "\n}" }

	return map[string][]forged{
		interfaceRule: {
			{"a.go", "package p\ntype I interface{ A(); B(); C(); D(); E(); F() }", "an interface of 6 methods"},
			{"a_test.go", "package p\nfunc f(i interface{ A(); B(); C(); D(); E(); F() }) {}", "an interface of 6 methods"},
			{"a.go", "package p\ntype I interface{ A(); B(); C(); D(); E(); J }\ntype J interface{ F() }", ""},
		},
		configRule: {
			{"framework/a.go", config("A int"), "LogConfig.A"},
			{"embedded/a.go", config("A int"), "LogConfig.A"},
			{"framework/a.go", config("// A is a number.\nA int"), "LogConfig.A"},
			{"framework/a.go", config("// A is a number. Defaults to 3.\nA int\nB int"), "LogConfig.B"},
			{"framework/a.go", config("// A and Bee are numbers. Defaults to 3.\nA int\nB int"), "LogConfig.B"},
			{"framework/a.go", config("// A and B are numbers. Default to 3.\nA int\n// B is one.\nB int"), "LogConfig.B"},
			{"framework/a.go", config("// A and B are numbers. Default to 3.\nA int\nB int"), ""},
			{"framework/a.go", config("// A is a number. Defaults\n// to 3.\nA, C int\nB int // B is required."), ""},
			{"framework/a.go", config("a int"), ""},
			{"framework/a.go", "package p\ntype logConfig struct{ A int }\ntype Config func()\ntype Info struct{ A int }", ""},
			{"framework/a_test.go", config("A int"), ""},
			{"framework/bus/bustest/a.go", config("A int"), ""},
			{"services/llm/a.go", config("A int"), ""},
		},
		initRule: {
			{"a.go", "package p\nfunc init() {}", "init runs unasked"},
			{"a_test.go", "package p\nfunc init() {}", "init runs unasked"},
			{"a.go", "package p\ntype t struct{}\nfunc (t) init() {}", ""},
		},
		sleepRule: {
			{"a_test.go", "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep"},
			{"a.go", "package p\nimport clock \"time\"\nvar f = clock.Sleep", "time.Sleep"},
			{"a_test.go", "package p\nimport \"time\"\nvar t = time.Second", ""},
			{"a_test.go", "package p\nfunc f() { time.Sleep(1) }", ""},
		},
		docRule: {
			{"a/b.go", "package p", "package p has no comment"},
			{"a/b.go", "// Copyright someone.\n\npackage p", "package p has no comment"},
			{"a/b.go", "// Package q does it.\npackage p", "package p has no comment"},
			{"a/main.go", "package main", "package main has no comment"},
			{"a/b.go", "// Package p does it.\npackage p", ""},
			{"a/main.go", "// Command a does it.\npackage main", ""},
			{"a/b_test.go", "package p", ""},
		},
		pathRule: {
			{"a_test.go", "package p // x/home/ but not\n// \"/home/me/main\"", "a_test.go:2: "},
			{"a.go", "package p // see /root/main/a.go", `below "/root/" is there on one machine only`},
			{"a.go", "package p\n\n// see /Users/me/a.go", "/users/"},
			{"a.go", "package p // at/home/s, a ./home/dir", ""},
		},
	}
}

func TestRulesSeeBreaches(t *testing.T) {
	t.Parallel()
	cases := shapeBreaches()
	cases[importRule], cases[signatureRule], cases[literalRule] = importBreaches(), signatureBreaches(), literalBreaches()
	for _, rule := range repotest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			caught := 0
			for _, c := range cases[rule.Name] {
				got := check(t, rule, c)
				if c.want != "" && len(got) == 1 && strings.Contains(got[0], c.want) {
					caught++
				} else if c.want != "" || len(got) > 0 {
					t.Errorf("%s:\n%s\ngot  %q\nwant %q", c.path, c.src, got, c.want)
				}
			}
			if caught == 0 {
				t.Error("no forged breach shows that the rule works")
			}
		})
	}
}

func check(t *testing.T, rule repotest.Rule, c forged) []string {
	t.Helper()
	f, err := repotest.Parse(c.path, c.src)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for breach := range rule.Check([]*repotest.File{f}) {
		got = append(got, breach.String())
	}

	return got
}

func TestOneDocumentedFileIsEnough(t *testing.T) {
	t.Parallel()
	var files []*repotest.File
	for path, src := range map[string]string{
		"a/a.go": "package p", "a/doc.go": "// Package p does it.\npackage p", "a/z.go": "package p",
	} {
		f, err := repotest.Parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, rule := range repotest.Rules() {
		for breach := range rule.Check(files) {
			t.Error(rule.Name, breach)
		}
	}
}

// TestFirstBreachIsEnough stops every rule after its first breach of several.
func TestFirstBreachIsEnough(t *testing.T) {
	t.Parallel()
	const src = `package p
import ("time"; _ "github.com/nats-io/nats.go"; _ "github.com/redis/go-redis/v9"; server "github.com/nats-io/nats-server")
func init() { time.Sleep(1); time.Sleep(2) }
func init() {}
func F(server.A, server.B)
type I interface{ A(); B(); C(); D(); E(); F() }
type J interface{ A(); B(); C(); D(); E(); F() }
type Config struct { A, B int; C int }
var s = "ww.a" + "ww.b" // /home/me
// /home/me
`
	var files []*repotest.File
	for _, path := range []string{"framework/a/a.go", "framework/b/b.go"} {
		f, err := repotest.Parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, rule := range repotest.Rules() {
		if all := slices.Collect(rule.Check(files)); len(all) < 2 {
			t.Errorf("%s: only %v", rule.Name, all)
		}
		for range rule.Check(files) {
			break
		}
	}
}

func TestUnwanted(t *testing.T) {
	t.Parallel()
	got := repotest.Unwanted([]string{
		"fmt", "testing", "testing/synctest", "testingx", "github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2/server",
		"github.com/stretchr/testify/require", "pgregory.net/rapid",
	})
	want := []string{
		"testing", "testing/synctest", "github.com/nats-io/nats-server/v2/server",
		"github.com/stretchr/testify/require", "pgregory.net/rapid",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDepsOfATestLibrary(t *testing.T) {
	t.Parallel()
	deps, err := repotest.Deps(t.Context(), root(), "pgregory.net/rapid")
	if err != nil {
		t.Fatal(err)
	}
	if got := repotest.Unwanted(deps); !slices.Contains(got, "testing") {
		t.Errorf("rapid is linked with %v only", got)
	}
	if _, err := repotest.Deps(t.Context(), t.TempDir()+"/none", "fmt"); err == nil {
		t.Error("no error where there is no folder")
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"a.go": "package a", "README.md": "hello", "image.png": "\x89PNG\x00", "big.txt": strings.Repeat("x", 2<<20),
		"bin/tool.txt": "built", ".git/config": "hidden", ".ci/run": "hidden", ".golangci.yml": "shown",
		"services/bin/a.go": "package bin", "a/testdata/bad.go": "not go", "bench/go.mod": "module bench", "bench/x/bad.go": "not go",
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := repotest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range files {
		got[f.Path] = f.Syntax != nil
	}
	want := map[string]bool{
		"a.go": true, "README.md": false, ".golangci.yml": false, "services/bin/a.go": true, "a/testdata/bad.go": false,
		"bench/go.mod": false, "bench/x/bad.go": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := repotest.Load(filepath.Join(dir, "none")); err == nil {
		t.Error("no error where there is no folder")
	}
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("not go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := repotest.Load(dir); err == nil || !strings.Contains(err.Error(), "a.go") {
		t.Errorf("the error is %v", err)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	var files []*repotest.File
	for path, src := range map[string]string{
		"services/llm/main.go": "package main", "services/llm/offline/a.go": "package offline", "cmd/woodwork/main.go": "package main",
	} {
		f, err := repotest.Parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	want := []string{"github.com/woodwork-go/woodwork/services/llm"}
	if diff := cmp.Diff(want, repotest.Services(files)); diff != "" {
		t.Error(diff)
	}
}
