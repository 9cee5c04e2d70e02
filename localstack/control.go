package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"relink/localstack/fc"
	"relink/localstack/mns"
	"relink/localstack/oss"
	"relink/localstack/serverless"
	"relink/localstack/sls"
	"relink/localstack/tablestore"
)

// The control API is how tests and `relink faults` break the system on purpose. It listens on 127.0.0.1 whatever --host says.
//
//	GET  /faults  what is set
//	PUT  /faults  a faultSet; what it does not name is off
//	POST /kill?function=relink-property  kills one instance with SIGKILL
//	GET  /stats   what the emulators have counted

// A faultSet is the body of /faults. Fractions are 0 to 1; durations are like "50ms".
type faultSet struct {
	FC         *fcFaults      `json:"fc,omitempty"`
	Tablestore []tableFault   `json:"tablestore,omitempty"`
	SLS        *requestFaults `json:"sls,omitempty"`
	OSS        *requestFaults `json:"oss,omitempty"`
	MNS        *queueFaults   `json:"mns,omitempty"`
}

type fcFaults struct {
	Functions    []string            `json:"functions,omitempty"` // names; all if absent
	Throttle     float64             `json:"throttle,omitempty"`
	Fail         float64             `json:"fail,omitempty"`
	LoseResponse float64             `json:"loseResponse,omitempty"`
	Delay        duration            `json:"delay,omitempty"`
	ColdStart    duration            `json:"coldStart,omitempty"`
	Crash        map[string]duration `json:"crash,omitempty"` // function name → kill an instance that often
}

type tableFault struct {
	Operation    string   `json:"operation,omitempty"` // all if absent
	Fraction     float64  `json:"fraction"`
	Times        int      `json:"times,omitempty"`
	Code         string   `json:"code,omitempty"`
	Rows         bool     `json:"rows,omitempty"`
	Delay        duration `json:"delay,omitempty"`
	LoseResponse bool     `json:"loseResponse,omitempty"`
}

type requestFaults struct {
	Fail  float64  `json:"fail,omitempty"`
	Lose  float64  `json:"lose,omitempty"`
	Delay duration `json:"delay,omitempty"`
}

type queueFaults struct {
	Throttle float64 `json:"throttle,omitempty"`
	requestFaults
}

// A duration is written like "50ms" in JSON.
type duration time.Duration

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"50ms\": %w", err)
	}
	v, err := time.ParseDuration(s)
	if err == nil && v < 0 {
		err = fmt.Errorf("duration %s is negative", s)
	}
	*d = duration(v)
	return err
}

func (s *stack) control() http.Handler {
	mux := http.NewServeMux()
	var mu sync.Mutex
	var current faultSet
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answer(w, current)
	})
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		var next faultSet
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		d.DisallowUnknownFields()
		if err := d.Decode(&next); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if err := s.applyFaults(next); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		current = next
		answer(w, current)
	})
	mux.HandleFunc("POST /kill", func(w http.ResponseWriter, r *http.Request) {
		if !s.isFunction(r.FormValue("function")) {
			http.Error(w, fmt.Sprintf("there is no function %q", r.FormValue("function")), http.StatusBadRequest)
			return
		}
		answer(w, map[string]bool{"killed": s.fc.KillInstance(r.FormValue("function"))})
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"fc": s.fc.Stats(), "tablestore": s.tablestore.Stats(), "sls": s.sls.Stats(), "oss": s.oss.Stats(), "mns": s.mns.Stats()})
	})
	return local(mux)
}

// local refuses what a web page makes a browser send: requests from another origin, or with the name of another host.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); r.Header.Get("Origin") != "" || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "the control API is for this machine's own programs", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *stack) isFunction(name string) bool {
	return slices.ContainsFunc(s.functions, func(f serverless.Function) bool { return f.Name == name })
}

func (s *stack) applyFaults(f faultSet) error {
	fraction := func(what string, values ...float64) error {
		for _, v := range values {
			if v < 0 || v > 1 {
				return fmt.Errorf("%s: %v is not between 0 and 1", what, v)
			}
		}
		return nil
	}
	var functions fc.Faults
	if x := f.FC; x != nil {
		if err := fraction("fc", x.Throttle, x.Fail, x.LoseResponse); err != nil {
			return err
		}
		functions = fc.Faults{
			Functions: x.Functions, Throttle: x.Throttle, Fail: x.Fail, LoseResponse: x.LoseResponse, Delay: time.Duration(x.Delay),
			ColdStart: time.Duration(x.ColdStart), CrashEvery: map[string]time.Duration{},
		}
		for _, name := range x.Functions {
			if !s.isFunction(name) {
				return fmt.Errorf("fc: there is no function %q", name)
			}
		}
		for name, every := range x.Crash {
			if !s.isFunction(name) || every <= 0 {
				return fmt.Errorf("fc: crash of %q every %s: want a function's name, such as relink-property, and a positive duration", name, time.Duration(every))
			}
			functions.CrashEvery[name] = time.Duration(every)
		}
	}
	var tables tablestore.Faults
	for _, x := range f.Tablestore {
		tables.Rules = append(tables.Rules, tablestore.Fault{
			Operation: x.Operation, Fraction: x.Fraction, Times: x.Times, Code: x.Code, Rows: x.Rows, Delay: time.Duration(x.Delay), LoseResponse: x.LoseResponse,
		})
	}
	var logs, objects requestFaults
	if f.SLS != nil {
		logs = *f.SLS
	}
	if f.OSS != nil {
		objects = *f.OSS
	}
	var queues queueFaults
	if f.MNS != nil {
		queues = *f.MNS
	}
	if err := fraction("sls and oss", logs.Fail, logs.Lose, objects.Fail, objects.Lose); err != nil {
		return err
	}
	if err := fraction("mns", queues.Throttle, queues.Fail, queues.Lose, queues.Throttle+queues.Fail); err != nil {
		return err
	}
	if err := s.tablestore.SetFaults(tables); err != nil {
		return err
	}
	s.fc.SetFaults(functions)
	s.sls.SetFaults(sls.Faults{Fail: logs.Fail, Lose: logs.Lose, Delay: time.Duration(logs.Delay)})
	s.oss.SetFaults(oss.Faults{Fail: objects.Fail, Lose: objects.Lose, Delay: time.Duration(objects.Delay)})
	s.mns.SetFaults(mns.Faults{Throttle: queues.Throttle, Fail: queues.Fail, Lose: queues.Lose, Delay: time.Duration(queues.Delay)})
	return nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone if this fails
}
