package sls

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// foreverTTL is the TTL, in days, that means without end.
const foreverTTL = 3650

// logstoreInfo is a logstore as the API shows it. It is never changed, only
// replaced.
type logstoreInfo struct {
	Name          string `json:"logstoreName"`
	TTL           int    `json:"ttl"` // days, 1 to 3000 or 3650
	ShardCount    int    `json:"shardCount"`
	WebTracking   bool   `json:"enable_tracking"`
	AutoSplit     bool   `json:"autoSplit"`
	MaxSplitShard int    `json:"maxSplitShard"`
	AppendMeta    bool   `json:"appendMeta"` // add __receive_time__ and __client_ip__ tags
	TelemetryType string `json:"telemetryType"`
	HotTTL        int    `json:"hot_ttl,omitempty"`
	Mode          string `json:"mode,omitempty"`
	Created       int64  `json:"createTime,omitempty"` // Unix seconds
	Modified      int64  `json:"lastModifyTime,omitempty"`
	ProductType   string `json:"productType,omitempty"`

	index *index
}

// A logstore is shared by the requests that use it.
type logstore struct {
	name      string
	number    uint32
	info      atomic.Pointer[logstoreInfo]
	appending sync.Mutex // order: Server.mu before appending
	deleted   bool       // under appending
	expired   int64      // used by expireLoop alone: do not expire again before this second
}

// storedLogstore is the value of the 's' keys.
type storedLogstore struct {
	Number uint32          `json:"number"`
	Info   *logstoreInfo   `json:"info"`
	Index  json.RawMessage `json:"index,omitempty"`
}

func restoreLogstore(name string, value []byte) (*logstore, error) {
	var v storedLogstore
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, fmt.Errorf("logstore %s: %w", name, err)
	}
	if v.Index != nil {
		x, err := parseIndex(v.Index)
		if err != nil {
			return nil, fmt.Errorf("index of logstore %s: %w", name, err)
		}
		v.Info.index = x
	}
	ls := &logstore{name: name, number: v.Number}
	ls.info.Store(v.Info)
	return ls, nil
}

func (ls *logstore) encode(info *logstoreInfo) ([]byte, error) {
	v := storedLogstore{Number: ls.number, Info: info}
	if info.index != nil {
		v.Index = info.index.body
	}
	return json.Marshal(v)
}

// remove puts the removal of a logstore and its logs into b and stops appends.
// The caller holds Server.mu.
func (ls *logstore) remove(b *pebble.Batch, project string) error {
	ls.appending.Lock()
	ls.deleted = true
	ls.appending.Unlock()
	if err := b.Delete(storeKey(project, ls.name), nil); err != nil {
		return err
	}
	return deleteLogs(b, ls.number)
}

// lookup finds a logstore.
func (s *Server) lookup(projectName, name string) (*logstore, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.projects[projectName]
	if p == nil {
		return nil, fail(ProjectNotExist, projectName)
	}
	ls := p.logstores[name]
	if ls == nil {
		return nil, fail(LogStoreNotExist, name)
	}
	return ls, nil
}

func (s *Server) allLogstores() []*logstore {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*logstore
	for _, p := range s.projects {
		for _, ls := range p.logstores {
			all = append(all, ls)
		}
	}
	return all
}

var logstoreName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$`)

func parseLogstore(body []byte, into *logstoreInfo) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fail(PostBodyInvalid, err)
	}
	if into.TTL < 1 || into.TTL > 3000 && into.TTL != foreverTTL {
		return fail(LogStoreInfoInvalid, fmt.Sprintf("ttl %d, must be 1 to 3000 or %d", into.TTL, foreverTTL))
	}
	return nil
}

func (s *Server) createLogstore(q *request) error {
	info := new(logstoreInfo)
	if err := parseLogstore(q.body, info); err != nil {
		return err
	}
	if !logstoreName.MatchString(info.Name) {
		return fail(LogStoreInfoInvalid, fmt.Sprintf("logstoreName %q must be 3 to 63 of [a-z0-9_-], beginning and ending with [a-z0-9]", info.Name))
	}
	if info.ShardCount < 1 || info.ShardCount > 100 {
		return fail(LogStoreInfoInvalid, fmt.Sprintf("shardCount %d, must be 1 to 100", info.ShardCount))
	}
	if info.Mode == "" {
		info.Mode = "standard"
	}
	info.Created = s.now().Unix()
	info.Modified = info.Created
	return s.addLogstore(q.project, info)
}

// addLogstore creates a logstore and makes it durable.
func (s *Server) addLogstore(projectName string, info *logstoreInfo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[projectName]
	switch {
	case p == nil:
		return fail(ProjectNotExist, projectName)
	case p.logstores[info.Name] != nil:
		return fail(LogStoreAlreadyExist, info.Name)
	case len(p.logstores) >= maxLogstores:
		return fail(LogStoreQuotaExceed, fmt.Sprint(maxLogstores))
	}
	ls := &logstore{name: info.Name, number: s.nextStore}
	ls.info.Store(info)
	value, err := ls.encode(info)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set([]byte{prefixNext}, binary.BigEndian.AppendUint32(nil, s.nextStore+1), nil); err != nil {
		return err
	}
	if err := b.Set(storeKey(projectName, info.Name), value, nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	s.nextStore++
	p.logstores[info.Name] = ls
	return nil
}

func (s *Server) updateLogstore(q *request) error {
	return s.changeLogstore(q.project, q.arg("logstore"), func(info *logstoreInfo) error {
		old := *info
		if err := parseLogstore(q.body, info); err != nil {
			return err
		}
		if info.Name != "" && info.Name != old.Name {
			return fail(LogStoreInfoInvalid, "a logstore cannot be renamed")
		}
		info.Name, info.Created, info.Mode = old.Name, old.Created, old.Mode
		info.ShardCount = old.ShardCount // shards are split, not set
		return nil
	})
}

// changeLogstore replaces what a logstore is configured to and makes that durable.
func (s *Server) changeLogstore(projectName, name string, change func(*logstoreInfo) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[projectName]
	if p == nil {
		return fail(ProjectNotExist, projectName)
	}
	ls := p.logstores[name]
	if ls == nil {
		return fail(LogStoreNotExist, name)
	}
	info := *ls.info.Load()
	if err := change(&info); err != nil {
		return err
	}
	info.Modified = s.now().Unix()
	value, err := ls.encode(&info)
	if err != nil {
		return err
	}
	if err := s.db.Set(storeKey(projectName, name), value, pebble.Sync); err != nil {
		return err
	}
	ls.info.Store(&info)
	return nil
}

func (s *Server) deleteLogstore(q *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[q.project]
	if p == nil {
		return fail(ProjectNotExist, q.project)
	}
	name := q.arg("logstore")
	ls := p.logstores[name]
	if ls == nil {
		return fail(LogStoreNotExist, name)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := ls.remove(b, q.project); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	delete(p.logstores, name)
	return nil
}

func (s *Server) getLogstore(q *request) error {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return err
	}
	return writeJSON(q.w, ls.info.Load())
}

func (s *Server) listLogstores(q *request) error {
	s.mu.RLock()
	p := s.projects[q.project]
	var names []string
	if p != nil {
		for name, ls := range p.logstores {
			telemetry := q.query.Get("telemetryType")
			if strings.Contains(name, q.query.Get("logstoreName")) && (telemetry == "" || telemetry == "None" || telemetry == ls.info.Load().TelemetryType) {
				names = append(names, name)
			}
		}
	}
	s.mu.RUnlock()
	if p == nil {
		return fail(ProjectNotExist, q.project)
	}
	slices.Sort(names)
	page, err := pageOf(names, q.query)
	if err != nil {
		return err
	}
	if page == nil {
		page = []string{}
	}
	return writeJSON(q.w, struct {
		Count     int      `json:"count"`
		Total     int      `json:"total"`
		Logstores []string `json:"logstores"`
	}{len(page), len(names), page})
}

func (s *Server) listShards(q *request) error {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return err
	}
	// One shard holds the whole range of hash keys.
	body := fmt.Sprintf(`[{"shardID":0,"status":"readwrite","inclusiveBeginKey":"%032x","exclusiveEndKey":"%s","createTime":%d}]`,
		0, strings.Repeat("f", 32), ls.info.Load().Created)
	writeBody(q.w, http.StatusOK, "application/json", []byte(body))
	return nil
}
