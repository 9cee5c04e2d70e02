package serverless

import (
	"math"
	"path/filepath"
	"regexp"
	"sort"
	"time"

	"gopkg.in/yaml.v3"
)

// fc3Props are the props of the fc3 component (src/schema.json). Those the reader does nothing with are
// allowed because the cloud knows them.
var fc3Props = set("region", "functionName", "description", "runtime", "handler", "code", "cpu", "memorySize",
	"diskSize", "timeout", "instanceConcurrency", "customRuntimeConfig", "customContainerConfig",
	"instanceLifecycleConfig", "environmentVariables", "role", "logConfig", "vpcConfig", "internetAccess",
	"triggers", "asyncInvokeConfig", "concurrencyConfig", "scalingConfig", "provisionConfig", "customDomain",
	"vpcBinding", "tags", "layers", "nasConfig", "ossMountConfig", "endpoint", "customDNS", "tracingConfig",
	"resourceGroupId", "sessionAffinity", "sessionAffinityConfig", "instanceIsolationMode",
	"disableOndemand", "disableInjectCredentials", "idleTimeout", "annotations", "gpuConfig")

var runtimes = set("custom.debian12", "custom.debian11", "custom.debian10", "custom", "go1")

var (
	functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	envName      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// function reads and checks one resource. Limits: Function Compute "Limits of usage", fc3 schema.json.
func (r *reader) function(key, props *yaml.Node) Function {
	f := Function{
		Resource: key.Value, Line: key.Line,
		CPU: 0.35, MemoryMB: 512, DiskMB: 512, Timeout: 3 * time.Second, InstanceConcurrency: 1, Port: 9000,
		Async: AsyncInvoke{MaxAttempts: 3, MaxAge: 24 * time.Hour},
	}
	fs := r.fields(r.resolve(props), "resource "+key.Value, fc3Props)
	for _, name := range [...]string{"region", "functionName", "runtime", "handler", "code"} {
		if fs[name] == nil {
			r.addf(key.Line, "resource %s: %s is missing", key.Value, name)
		}
	}
	r.identity(&f, fs)
	r.size(&f, key, fs)
	r.environment(&f, fs["environmentVariables"])
	r.customRuntime(&f, fs["customRuntimeConfig"])
	r.lifecycle(&f, fs["instanceLifecycleConfig"])
	r.triggers(&f, fs["triggers"])
	r.asyncInvoke(&f, fs["asyncInvokeConfig"])
	r.logConfig(&f, fs["logConfig"])
	if fs["scalingConfig"] != nil && fs["provisionConfig"] != nil {
		r.addf(fs["provisionConfig"].Line, "scalingConfig and provisionConfig exclude each other")
	}
	return f
}

func (r *reader) identity(f *Function, fs map[string]*yaml.Node) {
	if n := fs["functionName"]; n != nil {
		if f.Name = r.str(n, "functionName"); !functionName.MatchString(f.Name) {
			r.addf(n.Line, "functionName %q: want 1 to 64 letters, digits, _ and -, not beginning with a digit or -", f.Name)
		}
	}
	if n := fs["region"]; n != nil {
		f.Region = r.str(n, "region")
	}
	if n := fs["description"]; n != nil {
		f.Description = r.str(n, "description")
	}
	if n := fs["handler"]; n != nil {
		f.Handler = r.str(n, "handler")
	}
	if n := fs["role"]; n != nil {
		f.Role = r.str(n, "role")
	}
	if n := fs["runtime"]; n != nil {
		if f.Runtime = r.str(n, "runtime"); !runtimes[f.Runtime] {
			r.addf(n.Line, "runtime %q is not supported: want custom.debian12, custom.debian11, custom.debian10, custom or go1", f.Runtime)
		}
	}
	if n := fs["code"]; n != nil {
		if n.Kind != yaml.ScalarNode {
			r.addf(n.Line, "code must be a directory: packages in OSS are not supported")
			return
		}
		f.CodeDir = filepath.FromSlash(r.str(n, "code"))
		if !filepath.IsAbs(f.CodeDir) {
			f.CodeDir = filepath.Join(r.opt.Dir, f.CodeDir)
		}
	}
}

func (r *reader) size(f *Function, key *yaml.Node, fs map[string]*yaml.Node) {
	line := key.Line
	if n := fs["cpu"]; n != nil {
		line = n.Line
		f.CPU = r.number(n, "cpu", 0.05, 16)
		if steps := f.CPU / 0.05; math.Abs(steps-math.Round(steps)) > 1e-6 {
			r.addf(n.Line, "cpu is %s: want a multiple of 0.05", n.Value)
		}
	}
	if n := fs["memorySize"]; n != nil {
		line = n.Line
		if f.MemoryMB = r.integer(n, "memorySize", 128, 32768); f.MemoryMB%64 != 0 {
			r.addf(n.Line, "memorySize is %s: want a multiple of 64", n.Value)
		}
	}
	// The documented ratio of vCPU to GB is 1:1 to 1:4.
	if gb := float64(f.MemoryMB) / 1024; gb < f.CPU-1e-9 || gb > 4*f.CPU+1e-9 {
		r.addf(line, "cpu %s with memorySize %d: want 1 to 4 GB per vCPU", num(f.CPU), f.MemoryMB)
	}
	if n := fs["diskSize"]; n != nil {
		if f.DiskMB = r.integer(n, "diskSize", 512, 10240); f.DiskMB != 512 && f.DiskMB != 10240 {
			r.addf(n.Line, "diskSize is %s: want 512 or 10240", n.Value)
		}
	}
	if n := fs["timeout"]; n != nil {
		f.Timeout = time.Duration(r.integer(n, "timeout", 1, 86400)) * time.Second
	}
	if n := fs["instanceConcurrency"]; n != nil {
		f.InstanceConcurrency = r.integer(n, "instanceConcurrency", 1, 200)
		if f.InstanceConcurrency > 1 && f.Runtime != "" && !f.Custom() {
			r.addf(n.Line, "instanceConcurrency is %s: runtime %s takes one request at a time", n.Value, f.Runtime)
		}
	}
	if n := fs["concurrencyConfig"]; n != nil {
		if c := r.fields(n, "concurrencyConfig", set("reservedConcurrency")); c["reservedConcurrency"] != nil {
			f.ReservedConcurrency = r.integer(c["reservedConcurrency"], "reservedConcurrency", 1, 1_000_000)
		}
	}
	if n := fs["internetAccess"]; n != nil {
		r.boolean(n, "internetAccess")
	}
}

// maxEnvironment bounds all names and values of environmentVariables together.
const maxEnvironment = 4096

func (r *reader) environment(f *Function, n *yaml.Node) {
	if n == nil {
		return
	}
	fs := r.fields(n, "environmentVariables", nil)
	f.Environment = make(map[string]string, len(fs))
	names := make([]string, 0, len(fs))
	for name := range fs {
		names = append(names, name)
	}
	sort.Strings(names)
	total := 0
	for _, name := range names {
		v := fs[name]
		switch {
		case !envName.MatchString(name):
			r.addf(v.Line, "environment variable %q: want a letter, then letters, digits and _", name)
		case len(name) >= 3 && name[:3] == "FC_":
			r.addf(v.Line, "environment variable %s: the prefix FC_ is reserved", name)
		}
		f.Environment[name] = r.str(v, "environment variable "+name)
		total += len(name) + len(v.Value)
	}
	if total > maxEnvironment {
		r.addf(n.Line, "environmentVariables take %d bytes: at most %d", total, maxEnvironment)
	}
}
