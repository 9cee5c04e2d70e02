package sls

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// maxProjects and maxLogstores are the quotas of an account and of a project.
const (
	maxProjects  = 50
	maxLogstores = 200
)

// projectInfo is a project as the API shows it.
type projectInfo struct {
	Name        string `json:"projectName"`
	Description string `json:"description"`
	Status      string `json:"status"`
	Owner       string `json:"owner"`
	Region      string `json:"region"`
	Created     string `json:"createTime"`     // "2006-01-02 15:04:05"
	Modified    string `json:"lastModifyTime"` // likewise
	Redundancy  string `json:"dataRedundancyType,omitempty"`
}

// A project and its logstores; under Server.mu.
type project struct {
	info      projectInfo
	logstores map[string]*logstore
	queries   int32 // running; atomic
}

var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

const projectTime = "2006-01-02 15:04:05"

func (s *Server) createProject(q *request) error {
	var in struct {
		Name        string `json:"projectName"`
		Description string `json:"description"`
		Redundancy  string `json:"dataRedundancyType"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return fail(PostBodyInvalid, err)
	}
	if !projectName.MatchString(in.Name) {
		return invalid("projectName %q must be 3 to 63 of [a-z0-9-], beginning and ending with [a-z0-9]", in.Name)
	}
	if q.project != "" && q.project != in.Name {
		return invalid("projectName %s is not the project of the host, %s", in.Name, q.project)
	}
	now := s.now().UTC().Format(projectTime)
	return s.putProject(in.Name, func(old *projectInfo) (projectInfo, error) {
		if old != nil {
			return *old, fail(ProjectAlreadyExist, in.Name)
		}
		return projectInfo{Name: in.Name, Description: in.Description, Status: "Normal", Region: regionOf(q.r.Host), Created: now, Modified: now, Redundancy: in.Redundancy}, nil
	})
}

func (s *Server) updateProject(q *request) error {
	var in struct {
		Description string `json:"description"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return fail(PostBodyInvalid, err)
	}
	return s.putProject(q.project, func(old *projectInfo) (projectInfo, error) {
		if old == nil {
			return projectInfo{}, fail(ProjectNotExist, q.project)
		}
		p := *old
		p.Description, p.Modified = in.Description, s.now().UTC().Format(projectTime)
		return p, nil
	})
}

// putProject creates or changes a project and makes that durable.
func (s *Server) putProject(name string, change func(old *projectInfo) (projectInfo, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[name]
	var old *projectInfo
	if p != nil {
		old = &p.info
	}
	info, err := change(old)
	if err != nil {
		return err
	}
	if p == nil && len(s.projects) >= maxProjects {
		return fail(ProjectQuotaExceed, fmt.Sprint(maxProjects))
	}
	body, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := s.db.Set(projectKey(name), body, pebble.Sync); err != nil {
		return err
	}
	if p == nil {
		p = &project{logstores: make(map[string]*logstore)}
		s.projects[name] = p
	}
	p.info = info
	return nil
}

func (s *Server) deleteProject(q *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[q.project]
	if p == nil {
		return fail(ProjectNotExist, q.project)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Delete(projectKey(q.project), nil); err != nil {
		return err
	}
	for _, ls := range p.logstores {
		if err := ls.remove(b, q.project); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	delete(s.projects, q.project)
	return nil
}

// getProject answers GetProject, or ListProject if the host names no project.
func (s *Server) getProject(q *request) error {
	if q.project == "" {
		return s.listProjects(q)
	}
	s.mu.RLock()
	p := s.projects[q.project]
	var info projectInfo
	if p != nil {
		info = p.info
	}
	s.mu.RUnlock()
	if p == nil {
		return fail(ProjectNotExist, q.project)
	}
	return writeJSON(q.w, info)
}

func (s *Server) listProjects(q *request) error {
	like := q.query.Get("projectName")
	s.mu.RLock()
	all := make([]projectInfo, 0, len(s.projects))
	for _, p := range s.projects {
		if strings.Contains(p.info.Name, like) && strings.Contains(p.info.Description, q.query.Get("description")) {
			all = append(all, p.info)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b projectInfo) int { return strings.Compare(a.Name, b.Name) })
	page, err := pageOf(all, q.query)
	if err != nil {
		return err
	}
	return writeJSON(q.w, struct {
		Count    int           `json:"count"`
		Total    int           `json:"total"`
		Projects []projectInfo `json:"projects"`
	}{len(page), len(all), page})
}

// pageOf cuts a list by the query parameters offset (0) and size (500).
func pageOf[T any](all []T, query url.Values) ([]T, error) {
	number := func(name string, otherwise int) (int, error) {
		v := query.Get(name)
		if v == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return 0, invalid("%s %q is not a number of at least 0", name, v)
		}
		return n, nil
	}
	offset, err := number("offset", 0)
	if err != nil {
		return nil, err
	}
	size, err := number("size", 500)
	if err != nil {
		return nil, err
	}
	offset = min(offset, len(all))
	return all[offset:min(len(all), offset+min(size, 500))], nil
}

// regionOf returns the region in PROJECT.REGION.log.aliyuncs.com, "" elsewhere.
func regionOf(host string) string {
	labels := strings.Split(host, ".")
	if len(labels) >= 4 && labels[len(labels)-3] == "log" {
		r := labels[len(labels)-4]
		return strings.TrimSuffix(strings.TrimSuffix(r, "-intranet"), "-share")
	}
	return ""
}
