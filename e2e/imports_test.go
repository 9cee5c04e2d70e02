package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// A rule says what packages below a folder may import of ours, and why.
type rule struct {
	of      string   // folder of the importing package
	allowed []string // folders that it may import from
	because string
}

// rules are looked through in order; the first whose folder matches holds.
var rules = []rule{
	{"shared/iot", nil, "the vocabulary stands on the standard library alone"},
	{"shared/topic", []string{"shared"}, "the domain knows nothing of those who use it"},
	{"shared", []string{"shared"}, "the domain knows nothing of those who use it"},
	{"connector", []string{"shared", "connector"}, "the connector holds no business rule: it calls functions over the wire"},
	{"scripts", []string{"shared", "scripts"}, "the command line is a client like any other"},
	{"localstack", []string{"localstack"}, "an emulator built from its client's code repeats its client's mistakes"},
	{"functions/internal", []string{"shared", "functions/internal"}, "what all functions use belongs to none of them"},
}

// cloudSDKs are what talks to the cloud: each service's client is in as few packages as can be.
var cloudSDKs = map[string][]string{
	"github.com/aliyun/aliyun-tablestore-go-sdk": {"shared/store", "shared/forward", "localstack/tablestore"},
	"github.com/aliyun/aliyun-oss-go-sdk":        {"shared/objects"},
	"github.com/aliyun/aliyun-log-go-sdk":        {"shared/logs", "connector/devicelog", "scripts/relink", "functions/openapi"},
	"github.com/alibabacloud-go/fc-20230330":     {"shared/fc"},
	"github.com/aliyun/fc-runtime-go-sdk":        {"functions/internal/fcrun"},
	"github.com/aliyun/aliyun-mns-go-sdk":        {"shared/mns", "shared/forward"},
}

// emulatorUsers are packages whose tests may start an emulator: they speak a service's wire protocol, and the emulator is the
// other end of it. Nothing else of ours is tested against localstack but in this folder.
var emulatorUsers = []string{"shared/store", "shared/mns", "shared/logs", "shared/fc", "shared/objects", "connector/devicelog", "functions/internal"}

type listedPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportsFollowTheLayout(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "relink/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	packages := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages++
		from := strings.TrimPrefix(p.ImportPath, "relink/")
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if ours, ok := strings.CutPrefix(imported, "relink/"); ok && !(below(ours, []string{"localstack"}) && below(from, emulatorUsers)) {
				checkOurs(t, from, ours)
			}
		}
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, "relink/"); ok {
				checkOurs(t, from, ours)
			}
			for sdk, users := range cloudSDKs {
				if strings.HasPrefix(imported, sdk) && !below(from, users) {
					t.Errorf("%s imports %s: of ours only %s may", from, imported, strings.Join(users, ", "))
				}
			}
		}
	}
	if packages < 20 {
		t.Errorf("go list names %d packages: the test looks at the wrong tree", packages)
	}
}

func checkOurs(t *testing.T, from, imported string) {
	t.Helper()
	if below(from, []string{"e2e"}) {
		return
	}
	for _, r := range append(rules, functionRule(from)) {
		if !below(from, []string{r.of}) {
			continue
		}
		if !below(imported, append(r.allowed, from)) {
			t.Errorf("%s imports %s: %s", from, imported, r.because)
		}
		return
	}
	t.Errorf("%s imports %s, but no rule says what this folder may import", from, imported)
}

// functionRule keeps one function out of another.
func functionRule(from string) rule {
	parts := strings.SplitN(from, "/", 3)
	if parts[0] != "functions" || len(parts) < 2 {
		return rule{of: "\x00"}
	}
	own := "functions/" + parts[1]
	return rule{own, []string{"shared", "functions/internal", own}, "no function calls another's code"}
}

func below(path string, folders []string) bool {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, f+"/") {
			return true
		}
	}
	return false
}
