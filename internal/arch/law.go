package arch

import "strings"

// Module is the path of the module whose rules these are.
const Module = "nearcast"

// rule says what one top-level folder may import of ours, and why.
type rule struct {
	mayImport []string
	reason    string
}

// law is the picture in docs/ARCHITECTURE.md.
var law = map[string]rule{
	"cdn":          {[]string{"cdn"}, "the words of the domain are below everything, and need the standard library only"},
	"internal":     {[]string{"cdn", "internal"}, "helpers serve every part, so they can know none"},
	"edge":         {[]string{"cdn", "internal", "edge"}, "a cache must serve whatever becomes of the other parts"},
	"origin":       {[]string{"cdn", "internal", "origin"}, "how an origin is reached is independent of who asks"},
	"routequality": {[]string{"cdn", "internal", "routequality"}, "measurement must not depend on those that are measured"},
	"scheduler":    {[]string{"cdn", "internal", "scheduler"}, "answers come from tables handed in, not from asking other parts"},
	"control":      {[]string{"cdn", "internal", "control"}, "the data plane never needs the control plane, nor the other way round"},
	"deploy":       {anyPart(), "it puts all of them onto machines"},
	"loadtest":     {anyPart(), "it proves the whole"},
	"cmd":          {append(anyPart(), "deploy", "loadtest", "cmd"), "it plugs the parts into each other"},
}

func anyPart() []string {
	return []string{"cdn", "internal", "edge", "origin", "routequality", "scheduler", "control", "deploy", "loadtest"}
}

// folders that may be at the top without being a part: prose, and what the
// Makefile builds. Those whose name starts with a dot are nobody's business here.
var otherFolders = map[string]bool{"docs": true, "bin": true, "nearcast-lab": true}

// purePackages decide and compute; time, disk, network and chance come to them as
// values, so that a test can hold them all still.
var purePackages = map[string]bool{
	"edge/coding":           true,
	"edge/httpcache":        true,
	"edge/rules":            true,
	"edge/store/policy":     true,
	"internal/geo":          true,
	"internal/geo/source":   true,
	"internal/locate":       true,
	"internal/prefixtable":  true,
	"scheduler/assign":      true,
	"scheduler/cookie":      true,
	"scheduler/cost":        true,
	"scheduler/decide":      true,
	"scheduler/dnssec":      true,
	"scheduler/dnswire":     true,
	"routequality/capacity": true,
	"scheduler/policy":      true,
	"scheduler/redirect":    true,
	"scheduler/rr":          true,
	"scheduler/rrl":         true,
	"scheduler/steer":       true,
	"scheduler/view":        true,
	"scheduler/zone":        true,
	"routequality/estimate": true,
	"routequality/liveness": true,
	"routequality/paths":    true,
	"routequality/table":    true,
	"control/compile":       true,
	"control/decode":        true,
	"control/drain":         true,
	"control/zonekey":       true,
}

// impureImports may not be imported by a pure package.
var impureImports = map[string]string{
	"os": "no files", "os/exec": "no processes", "os/signal": "no signals", "net": "no sockets", "syscall": "no system calls",
	"io/ioutil": "no files", "math/rand/v2": "no chance", "crypto/rand": "no chance", "database/sql": "no databases",
}

// impureNames may not be used by a pure package, by import path.
var impureNames = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"net/http": {
		"Client", "Transport", "Server", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS",
		"ServeFile", "ServeFileFS", "ServeContent", "FileServer", "FileServerFS", "Dir",
	},
}

// forbiddenImports are not used anywhere.
var forbiddenImports = map[string]string{
	"math/rand":             "use math/rand/v2",
	"github.com/pkg/errors": "use errors and fmt",
	"io/ioutil":             "use io and os",
}

// forbiddenNames are not used anywhere, by import path: each is state of the whole
// process in disguise.
var forbiddenNames = map[string][]string{
	"net/http": {
		"DefaultClient", "DefaultTransport", "DefaultServeMux", "Get", "Head", "Post", "PostForm",
		"Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS",
	},
	"log": {
		"Default", "Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln",
		"Output", "SetFlags", "SetOutput", "SetPrefix",
	},
	"log/slog": {
		"Default", "SetDefault", "Debug", "Info", "Warn", "Error", "Log",
		"DebugContext", "InfoContext", "WarnContext", "ErrorContext",
	},
	"github.com/prometheus/client_golang/prometheus": {"DefaultRegisterer", "DefaultGatherer", "MustRegister", "Register"},
}

const (
	maxFileLines     = 500
	maxFunctionLines = 60
)

// part returns the top-level folder of a path within the module.
func part(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

// ours returns the path within the module of an import, or false.
func ours(importPath string) (string, bool) {
	if importPath == Module {
		return "", true
	}
	return strings.CutPrefix(importPath, Module+"/")
}

// standard reports whether an import is of the standard library: the only ones
// without a dot in their first element.
func standard(importPath string) bool {
	_, own := ours(importPath)
	return !own && !strings.Contains(part(importPath), ".")
}
