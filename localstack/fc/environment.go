package fc

import (
	"os"
	"sort"
	"strconv"
)

// environment is what a process sees: the documented variables, the function's own, and ExtraEnv. Of this
// process's environment only PATH, HOME and TMPDIR are passed on.
// Source: Function Compute, "Environment variables".
func (i *instance) environment() []string {
	f, o := i.fn, i.fn.s.opt
	env := map[string]string{
		"FC_FUNC_CODE_PATH":               f.CodeDir,
		"FC_ACCOUNT_ID":                   o.AccountID,
		"FC_FUNCTION_NAME":                f.Name,
		"FC_FUNCTION_HANDLER":             f.Handler,
		"FC_FUNCTION_MEMORY_SIZE":         strconv.Itoa(f.MemoryMB),
		"FC_REGION":                       o.Region,
		"FC_INSTANCE_ID":                  i.id,
		"FC_VER_ID":                       "LATEST",
		"FC_FUNCTION_VERSION":             "LATEST",
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     o.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": o.AccessKeySecret,
		"ALIBABA_CLOUD_SECURITY_TOKEN":    "",
		// Not of the service, where instances must listen on 0.0.0.0: a function that honours it cannot be called from other
		// machines, past the signature.
		"RELINK_FC_LISTEN_HOST": "127.0.0.1",
	}
	for _, name := range [...]string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	for k, v := range f.Environment {
		env[k] = v
	}
	for k, v := range o.ExtraEnv {
		env[k] = v
	}
	if i.api != nil {
		env["FC_RUNTIME_API"] = i.api.addr
	} else {
		env["FC_CUSTOM_LISTEN_PORT"] = strconv.Itoa(i.port)
	}
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}
