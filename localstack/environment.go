package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// An envFile is the file of KEY=VALUE lines that clients read: DESIGN's list, in its order.
type envFile struct {
	path string

	mu    sync.Mutex
	lines []string // without RELINK_PIDS
	pids  string
}

// place makes the file's directory. If another localstack that runs has written the file, it stays that one's, and this one's goes
// into its own data directory.
func (e *envFile) place(data string) error {
	if info, err := os.Stat(e.path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory: --env-file names a file", e.path)
	}
	if owner := runningOwner(e.path); owner != 0 && owner != os.Getpid() {
		e.path = filepath.Join(data, "env")
	}
	return os.MkdirAll(filepath.Dir(e.path), 0o755)
}

// runningOwner is the process id of the localstack that wrote an env file and still runs; 0 if there is none.
func runningOwner(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, pids, _ := strings.Cut(string(text), "\nRELINK_PIDS=")
	for item := range strings.SplitSeq(strings.TrimSpace(pids), ",") {
		if p, ok := strings.CutPrefix(item, "localstack="); ok {
			pid, err := strconv.Atoi(p)
			if err == nil && pid > 0 && syscall.Kill(pid, 0) == nil {
				return pid
			}
		}
	}
	return 0
}

// connectorPath is where the configuration for further connectors is.
func (e *envFile) connectorPath() string { return filepath.Join(filepath.Dir(e.path), "connector.env") }

// set replaces all but the process ids.
func (e *envFile) set(lines []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = lines
	return e.write()
}

// setPIDs replaces the process ids, if they have changed.
func (e *envFile) setPIDs(pids string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if pids == e.pids {
		return nil
	}
	e.pids = pids
	return e.write()
}

func (e *envFile) write() error {
	if e.lines == nil {
		return nil
	}
	text := strings.Join(e.lines, "\n") + "\nRELINK_PIDS=" + e.pids + "\n"
	if err := os.MkdirAll(filepath.Dir(e.path), 0o755); err != nil {
		return err
	}
	// Clients read this file whenever they like: they see the old or the new one, whole.
	next := e.path + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, e.path)
}

// remove takes the file away at the end: what it names is gone.
func (e *envFile) remove() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lines == nil {
		return nil
	}
	e.lines = nil
	return errors.Join(os.Remove(e.path), os.Remove(e.connectorPath()))
}

// clientEnv is what the file says: addresses, keys, and the certificate authority. What is not served yet is there, empty.
func clientEnv(a addresses, k keys, c certificates) []string {
	return []string{
		"RELINK_OPENAPI_ENDPOINT=http://" + a.dial(portOpenAPI),
		"RELINK_ACCESS_KEY_ID=" + k.AccessKeyID,
		"RELINK_ACCESS_KEY_SECRET=" + k.AccessKeySecret,
		"RELINK_MQTT=" + a.dial(portMQTT),
		"RELINK_MQTTS=" + a.dial(portMQTTS),
		"RELINK_WS=ws://" + a.dial(portWS) + "/mqtt",
		"RELINK_WSS=wss://" + a.dial(portWSS) + "/mqtt",
		"RELINK_COAP=" + a.dial(portCoAP),
		"RELINK_COAPS=" + a.dial(portCoAPS),
		"RELINK_HTTP=http://" + a.dial(portHTTP),
		"RELINK_HTTPS=https://" + a.dial(portHTTPS),
		"RELINK_CA=" + c.ca,
		"TABLESTORE_ENDPOINT=http://" + a.dial(portTablestore),
		"TABLESTORE_INSTANCE=relink",
		"OSS_ENDPOINT=http://" + a.dial(portOSS),
		"OSS_BUCKET=relink",
		"RELINK_DOWNLOAD_URL=http://" + a.dial(portDownload),
		"SLS_ENDPOINT=" + slsEndpoint,
		"SLS_DIAL=" + a.dial(portSLS),
		"MNS_ENDPOINT=" + mnsEndpoint(a),
		"FC_ENDPOINT=http://" + a.dial(portFC),
		"LOCALSTACK_CONTROL=http://" + a.dial(portControl),
	}
}

// slsEndpoint is a name that need not resolve: the SDK puts the project before it and dials SLS_DIAL.
const slsEndpoint = "http://log.relink.internal"

// mnsEndpoint has exactly four dots, which the SDK insists on: those of the host, and as many in the place of the account, which the
// service has in the host's name.
func mnsEndpoint(a addresses) string {
	host := a.dial(portMNS)
	account := accountID + ".mns.relink.local.internal"
	if strings.Count(host, ".") == 3 {
		account = accountID + ".local"
	}
	return "http://" + host + "/" + account
}

// deployEnv is what s.yaml asks the environment for at deploy time, and what the connector reads.
func deployEnv(a addresses, k keys) map[string]string {
	env := map[string]string{
		"RELINK_REGION":          "cn-shanghai",
		"RELINK_FUNCTION_PREFIX": "relink-",
		"TABLESTORE_ENDPOINT":    "http://" + a.dial(portTablestore),
		"TABLESTORE_INSTANCE":    "relink",
		"OSS_ENDPOINT":           "http://" + a.dial(portOSS),
		"OSS_BUCKET":             "relink",
		"RELINK_DOWNLOAD_URL":    "http://" + a.dial(portDownload),
		"SLS_ENDPOINT":           slsEndpoint,
		"SLS_DIAL":               a.dial(portSLS),
		"SLS_PROJECT":            "relink",
		"MNS_ENDPOINT":           mnsEndpoint(a),
		"RELINK_ACCOUNT_ID":      accountID,
		"RELINK_FC_ENDPOINT":     "http://" + a.dial(portFC),
		"RELINK_SECRET_KEY":      k.SecretKey,
		"RELINK_INTERNAL_KEY":    k.InternalKey,
		"RELINK_API_KEYS":        k.AccessKeyID + ":" + k.AccessKeySecret,
		// Tests call as fast as they can; whoever wants to see an application throttled sets documented.
		"RELINK_API_LIMITS": cmp.Or(os.Getenv("RELINK_API_LIMITS"), "off"),
		// There is no network but this machine's.
		"RELINK_VPC_ID": "", "RELINK_VSWITCH_ID": "", "RELINK_SECURITY_GROUP_ID": "",
	}
	for _, name := range []string{"RELINK_TOKEN_LIFE", "RELINK_AUTH_WINDOW"} {
		if value, set := os.LookupEnv(name); set {
			env[name] = value
		}
	}
	return env
}

// connectorEnv is the connector's whole configuration, as KEY=VALUE.
func connectorEnv(a addresses, k keys, c certificates) []string {
	env := []string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + k.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + k.AccessKeySecret,
		"RELINK_LISTEN_MQTT=" + a.bind(portMQTT),
		"RELINK_LISTEN_MQTTS=" + a.bind(portMQTTS),
		"RELINK_LISTEN_WS=" + a.bind(portWS),
		"RELINK_LISTEN_WSS=" + a.bind(portWSS),
		"RELINK_LISTEN_HTTP=" + a.bind(portHTTP),
		"RELINK_LISTEN_HTTPS=" + a.bind(portHTTPS),
		"RELINK_LISTEN_COAP=" + a.bind(portCoAP),
		"RELINK_LISTEN_COAPS=" + a.bind(portCoAPS),
		"RELINK_LISTEN_OPENAPI=" + a.bind(portOpenAPI),
		"RELINK_LISTEN_DOWNLOAD=" + a.bind(portDownload),
		"RELINK_LISTEN_INTERNAL=" + a.bind(portInternal),
		"RELINK_INTERNAL_URL=http://" + a.dial(portInternal),
		"RELINK_TLS_CERT=" + c.cert,
		"RELINK_TLS_KEY=" + c.key,
	}
	// What one device may send is not limited here, so that a few can be tested with; whoever wants the limits sets them.
	for _, name := range []string{
		"RELINK_UPLINK_QOS0_PER_SECOND", "RELINK_UPLINK_QOS1_PER_SECOND", "RELINK_UPLINK_BYTES_PER_SECOND", "RELINK_DOWNLINK_PER_SECOND",
	} {
		value, set := os.LookupEnv(name)
		if !set {
			value = "0"
		}
		env = append(env, name+"="+value)
	}
	d := deployEnv(a, k)
	for _, name := range []string{
		"RELINK_REGION", "RELINK_FUNCTION_PREFIX", "TABLESTORE_ENDPOINT", "TABLESTORE_INSTANCE", "OSS_ENDPOINT", "OSS_BUCKET", "RELINK_DOWNLOAD_URL", "SLS_ENDPOINT", "SLS_DIAL",
		"SLS_PROJECT", "RELINK_FC_ENDPOINT", "RELINK_SECRET_KEY", "RELINK_INTERNAL_KEY",
	} {
		env = append(env, fmt.Sprintf("%s=%s", name, d[name]))
	}
	return env
}
