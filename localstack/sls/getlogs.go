package sls

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const maxLines = 100 // logs of one page

// logQuery is the body of GetLogs; the older form has the same names in its
// query string.
type logQuery struct {
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	FromNs  uint32 `json:"fromNs"`
	ToNs    uint32 `json:"toNs"`
	Topic   string `json:"topic"`
	Query   string `json:"query"`
	Line    *int64 `json:"line"` // 100 if absent
	Offset  int64  `json:"offset"`
	Reverse bool   `json:"reverse"`
}

type metaTerm struct {
	Key  string `json:"key"`
	Term string `json:"term"`
}

// queryMeta is the meta part of an answer to GetLogs.
type queryMeta struct {
	Progress       string     `json:"progress"`
	AggQuery       string     `json:"aggQuery"`
	WhereQuery     string     `json:"whereQuery"`
	HasSQL         bool       `json:"hasSQL"`
	ProcessedRows  int64      `json:"processedRows"`
	ProcessedBytes int64      `json:"processedBytes"`
	ElapsedMs      int64      `json:"elapsedMillisecond"`
	CPUSeconds     float64    `json:"cpuSec"`
	CPUCores       float64    `json:"cpuCores"`
	Limited        int64      `json:"limited"`
	Count          int64      `json:"count"` // logs or rows in this answer
	Telemetry      string     `json:"telementryType"`
	PowerSQL       bool       `json:"powerSql"`
	IsAccurate     bool       `json:"isAccurate"`
	Mode           int        `json:"mode"`
	Keys           []string   `json:"keys,omitempty"` // columns of SQL
	ColumnTypes    []string   `json:"columnTypes,omitempty"`
	Terms          []metaTerm `json:"terms,omitempty"`
}

// logPage is what both forms of GetLogs answer.
type logPage struct {
	Meta queryMeta           `json:"meta"`
	Data []map[string]string `json:"data"`
}

// getLogs is GetLogs as v0.1.127 sends it.
func (s *Server) getLogs(q *request) error {
	var in logQuery
	if err := json.Unmarshal(q.body, &in); err != nil {
		return fail(PostBodyInvalid, err)
	}
	page, err := s.queryLogs(q, in)
	if err != nil {
		return err
	}
	body, err := json.Marshal(page)
	if err != nil {
		return err
	}
	return writeCompressed(q, "application/json", body)
}

// getLogsOld is GET …?type=log of older clients: the logs are the body, the rest
// are headers.
func (s *Server) getLogsOld(q *request) error {
	in, err := parseLogQuery(q)
	if err != nil {
		return err
	}
	page, err := s.queryLogs(q, in)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("x-log-progress", page.Meta.Progress)
	h.Set("x-log-count", strconv.FormatInt(page.Meta.Count, 10))
	h.Set("x-log-processed-rows", strconv.FormatInt(page.Meta.ProcessedRows, 10))
	h.Set("x-log-elapsed-millisecond", strconv.FormatInt(page.Meta.ElapsedMs, 10))
	h.Set("x-log-has-sql", strconv.FormatBool(page.Meta.HasSQL))
	h.Set("x-log-agg-query", page.Meta.AggQuery)
	h.Set("x-log-where-query", page.Meta.WhereQuery)
	info, err := json.Marshal(struct {
		Keys []string `json:"keys,omitempty"`
	}{page.Meta.Keys})
	if err != nil {
		return err
	}
	h.Set("x-log-query-info", string(info))
	return writeJSON(q.w, page.Data)
}

func parseLogQuery(q *request) (in logQuery, err error) {
	v := q.query
	number := func(name string) int64 {
		if v.Get(name) == "" {
			return 0
		}
		n, perr := strconv.ParseInt(v.Get(name), 10, 64)
		if perr != nil && err == nil {
			err = invalid("%s %q is not a number", name, v.Get(name))
		}
		return n
	}
	in = logQuery{
		From: number("from"), To: number("to"), FromNs: uint32(number("fromNs")), ToNs: uint32(number("toNs")),
		Topic: v.Get("topic"), Query: v.Get("query"), Offset: number("offset"), Reverse: v.Get("reverse") == "true",
	}
	if v.Has("line") {
		n := number("line")
		in.Line = &n
	}
	return in, err
}

// prepare checks a query against its logstore and compiles it.
func (s *Server) prepare(q *request, in logQuery) (sc scan, sql string, hasSQL bool, e expr, err error) {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return
	}
	sc = scan{ls: ls, window: window{in.From, in.To, in.FromNs, in.ToNs}, topic: in.Topic, reverse: in.Reverse}
	if err = sc.window.check(); err != nil {
		return
	}
	idx := ls.info.Load().index
	if idx == nil {
		err = fail(IndexConfigNotExist)
		return
	}
	search, sql, hasSQL := splitQuery(in.Query)
	if e, err = parseSearch(search); err != nil {
		return
	}
	sc.match, err = compile(e, idx)
	return sc, sql, hasSQL, e, err
}

func (s *Server) queryLogs(q *request, in logQuery) (*logPage, error) {
	start := time.Now()
	lines := int64(maxLines)
	if in.Line != nil {
		lines = *in.Line
	}
	if lines < 0 || lines > maxLines {
		return nil, fail(InvalidLine, fmt.Sprint(lines))
	}
	if in.Offset < 0 {
		return nil, fail(InvalidOffset, fmt.Sprint(in.Offset))
	}
	sc, sql, hasSQL, e, err := s.prepare(q, in)
	if err != nil {
		return nil, err
	}
	end, err := s.beginQuery(q.project)
	if err != nil {
		return nil, err
	}
	defer end()
	page := &logPage{Data: []map[string]string{}}
	page.Meta = queryMeta{Progress: "Complete", HasSQL: hasSQL, IsAccurate: true, Terms: terms(e, nil)}
	page.Meta.WhereQuery, _, _ = splitQuery(in.Query)
	if hasSQL {
		page.Meta.AggQuery = sql
		err = s.selectRows(q.r.Context(), sc, sql, page)
	} else {
		page.Meta.ProcessedRows, err = s.page(q.r.Context(), sc, in.Offset, lines, page)
	}
	if err != nil {
		return nil, err
	}
	page.Meta.Count = int64(len(page.Data))
	elapsed := time.Since(start)
	page.Meta.ElapsedMs, page.Meta.CPUSeconds, page.Meta.CPUCores = elapsed.Milliseconds(), elapsed.Seconds(), 1
	return page, nil
}

// page fills one page and stops the scan when it is full.
func (s *Server) page(ctx context.Context, sc scan, offset, lines int64, page *logPage) (int64, error) {
	if lines == 0 {
		return 0, nil
	}
	return s.run(ctx, sc, func(r *record) bool {
		if offset > 0 {
			offset--
			return true
		}
		page.Data = append(page.Data, r.toMap())
		return int64(len(page.Data)) < lines
	})
}

// toMap returns a log as GetLogs shows it.
func (r *record) toMap() map[string]string {
	r.decode()
	m := make(map[string]string, len(r.fields)+len(r.group.tags)+4)
	for _, t := range r.group.tags {
		m[tagPrefix+string(t.key)] = string(t.value)
	}
	for _, f := range r.fields {
		m[string(f.key)] = string(f.value)
	}
	m[fieldTime] = strconv.FormatUint(uint64(r.sec), 10)
	m[fieldTopic] = string(r.group.topic)
	m[fieldSource] = string(r.group.source)
	if r.ns > 0 {
		m[fieldTimeNs] = strconv.FormatUint(uint64(r.ns), 10)
	}
	return m
}

type histogram struct {
	From     int64  `json:"from"`
	To       int64  `json:"to"`
	Count    int64  `json:"count"`
	Progress string `json:"progress"`
}

// maxBars is how many intervals GetHistograms answers at most.
const maxBars = 10000

func (s *Server) getHistograms(q *request) error {
	in, err := parseLogQuery(q)
	if err != nil {
		return err
	}
	sc, _, hasSQL, _, err := s.prepare(q, in)
	if err != nil {
		return err
	}
	if hasSQL {
		return invalid("GetHistograms takes a search without SQL")
	}
	step, err := histogramStep(q.query.Get("interval"), in.To-in.From)
	if err != nil {
		return err
	}
	end, err := s.beginQuery(q.project)
	if err != nil {
		return err
	}
	defer end()
	var bars []histogram
	for at := in.From; at < in.To; { // bars begin at multiples of the step
		next := min(in.To, at-at%step+step)
		bars = append(bars, histogram{From: at, To: next, Progress: "Complete"})
		at = next
	}
	total := int64(0)
	base := in.From - in.From%step
	_, err = s.run(q.r.Context(), sc, func(r *record) bool {
		bars[min(int((int64(r.sec)-base)/step), len(bars)-1)].Count++
		total++
		return true
	})
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("x-log-progress", "Complete")
	h.Set("x-log-count", strconv.FormatInt(total, 10))
	body, err := json.Marshal(bars)
	if err != nil {
		return err
	}
	writeBody(q.w, http.StatusOK, "application/json", body)
	return nil
}

// histogramStep returns the seconds of one bar: as asked, or the first round
// number that makes at most 60 bars.
func histogramStep(interval string, span int64) (int64, error) {
	if interval != "" && interval != "0" {
		n, err := strconv.ParseInt(interval, 10, 32)
		if err != nil || n < 1 || span/n > maxBars {
			return 0, invalid("interval %q must be seconds and make at most %d intervals", interval, maxBars)
		}
		return n, nil
	}
	for _, n := range []int64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400} {
		if span <= 60*n {
			return n, nil
		}
	}
	return (span/60/86400 + 1) * 86400, nil
}
