package sls

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The SQL the emulator answers, in any case and with or without a final ";":
//
//	SELECT column [[AS] name], … [FROM log] [GROUP BY column] [ORDER BY name [ASC|DESC]] [LIMIT n]
//
// where a column is count(*), count(1), one indexed key with doc_value, or a time
// bucket __time__ - __time__ % SECONDS. Anything else is refused, not guessed.
const (
	maxRows      = 100000 // groups held at a time
	defaultLimit = 100    // rows without LIMIT, as the service does
)

const sqlName = `("[^"]+"|[\w.:\-]+)`

var (
	sqlShape  = regexp.MustCompile(`(?is)^\s*select\s+(.+?)(?:\s+from\s+log)?(?:\s+group\s+by\s+(.+?))?(?:\s+order\s+by\s+` + sqlName + `(?:\s+(asc|desc))?)?(?:\s+limit\s+(\d{1,9}))?\s*;?\s*$`)
	sqlColumn = regexp.MustCompile(`(?is)^(count\s*\(\s*(?:\*|1)\s*\)|__time__\s*-\s*\(?\s*__time__\s*%\s*\d{1,9}\s*\)?|` + sqlName + `)(?:\s+(?:as\s+)?` + sqlName + `)?$`)
	sqlBucket = regexp.MustCompile(`(?i)^__time__-\(?__time__%(\d+)\)?$`)
)

// A sqlQuery is a parsed SELECT.
type sqlQuery struct {
	columns []sqlOutput
	key     string // field grouped by, "" if none
	step    int64  // seconds of a bucket if key is __time__
	grouped bool
	orderBy int // column, -1 for none
	desc    bool
	limit   int
}

type sqlOutput struct {
	name  string
	count bool
}

func errSQL(format string, args ...any) error {
	return invalid("SQL of the emulator is SELECT count(*) [, key] [GROUP BY key] [ORDER BY name] [LIMIT n]: "+format, args...)
}

func unquoteName(s string) string { return strings.Trim(s, `"`) }

// plain removes white space and case, to compare expressions.
func plain(s string) string { return strings.ToLower(strings.Join(strings.Fields(unquoteName(s)), "")) }

func parseSQL(sql string) (*sqlQuery, error) {
	if len(sql) > maxQueryBytes {
		return nil, errSQL("statement of %d bytes is too long", len(sql))
	}
	m := sqlShape.FindStringSubmatch(sql)
	if m == nil {
		return nil, errSQL("cannot read %q", sql)
	}
	q := &sqlQuery{orderBy: -1, desc: strings.EqualFold(m[4], "desc"), limit: defaultLimit}
	exprs := make(map[string]int) // expression, name or position → column
	for i, text := range strings.Split(m[1], ",") {
		if err := q.column(i, strings.TrimSpace(text), exprs); err != nil {
			return nil, err
		}
	}
	if err := q.group(m[2], exprs); err != nil {
		return nil, err
	}
	if m[3] != "" {
		i, ok := exprs[plain(m[3])]
		if !ok {
			return nil, errSQL("ORDER BY %s is not a selected column", m[3])
		}
		q.orderBy = i
	}
	if m[5] != "" {
		q.limit, _ = strconv.Atoi(m[5]) // at most nine digits
	}
	return q, nil
}

func (q *sqlQuery) column(i int, text string, exprs map[string]int) error {
	m := sqlColumn.FindStringSubmatch(text)
	if m == nil {
		return errSQL("column %q", text)
	}
	what, out := plain(m[1]), sqlOutput{name: unquoteName(m[1])}
	switch bucket := sqlBucket.FindStringSubmatch(what); {
	case strings.HasPrefix(what, "count("):
		out.count, out.name = true, "_col"+strconv.Itoa(i)
	case bucket != nil:
		step, _ := strconv.ParseInt(bucket[1], 10, 64)
		if step < 1 || q.key != "" {
			return errSQL("bucket %q", text)
		}
		q.key, q.step, out.name = fieldTime, step, "_col"+strconv.Itoa(i)
	default:
		if m[2] == "" || q.key != "" {
			return errSQL("one key beside count(*), not %q", text)
		}
		q.key, q.step = unquoteName(m[2]), 1
	}
	exprs[what], exprs[strconv.Itoa(i+1)] = i, i
	if m[3] != "" {
		out.name = unquoteName(m[3])
	}
	exprs[plain(out.name)] = i
	q.columns = append(q.columns, out)
	return nil
}

// group resolves GROUP BY, which must name the key that is selected; a key that
// is grouped by need not be selected.
func (q *sqlQuery) group(by string, exprs map[string]int) error {
	if by == "" {
		if q.key != "" {
			return errSQL("%s must be in GROUP BY", q.key)
		}
		return nil
	}
	q.grouped = true
	if i, ok := exprs[plain(by)]; ok {
		if q.columns[i].count {
			return errSQL("GROUP BY %s", by)
		}
		return nil
	}
	m := sqlColumn.FindStringSubmatch(strings.TrimSpace(by))
	if m == nil || m[2] == "" || m[3] != "" || q.key != "" {
		return errSQL("GROUP BY %s", by)
	}
	q.key, q.step = unquoteName(m[2]), 1
	return nil
}

// selectRows fills page with the rows of a SELECT over the logs of a scan.
func (s *Server) selectRows(ctx context.Context, sc scan, sql string, page *logPage) error {
	q, err := parseSQL(sql)
	if err != nil {
		return err
	}
	if q.key != "" && q.key != fieldTime {
		if k, ok := sc.ls.info.Load().index.key(q.key); !ok || !k.DocValue {
			return invalid("Column '%s' cannot be resolved; please add the column in the index attribute with doc_value (statistics)", q.key)
		}
	}
	counts := make(map[string]*int64)
	if !q.grouped {
		counts[""] = new(int64)
	}
	tooMany := false
	page.Meta.ProcessedRows, err = s.run(ctx, sc, func(r *record) bool {
		value := q.groupOf(r)
		n := counts[string(value)]
		if n == nil {
			if len(counts) >= maxRows {
				tooMany = true
				return false
			}
			n = new(int64)
			counts[string(value)] = n
		}
		*n++
		return true
	})
	if err != nil {
		return err
	}
	if tooMany {
		return errSQL("more than %d groups", maxRows)
	}
	q.rows(counts, page)
	return nil
}

func (q *sqlQuery) groupOf(r *record) []byte {
	switch q.key {
	case "":
		return nil
	case fieldTime:
		return strconv.AppendInt(nil, int64(r.sec)-int64(r.sec)%q.step, 10)
	}
	v, ok := r.lookup(q.key)
	if !ok {
		return []byte("null")
	}
	return v
}

// rows orders and cuts the groups and writes them as the service does: every
// value is a string.
func (q *sqlQuery) rows(counts map[string]*int64, page *logPage) {
	values := make([]string, 0, len(counts))
	for v := range counts {
		values = append(values, v)
	}
	slices.Sort(values)
	if q.orderBy >= 0 {
		byCount := q.columns[q.orderBy].count
		slices.SortStableFunc(values, func(a, b string) int {
			d := 0
			if byCount {
				d = compareInt(*counts[a], *counts[b])
			} else {
				d = compareValues(a, b)
			}
			if q.desc {
				d = -d
			}
			return d
		})
	}
	for _, c := range q.columns {
		page.Meta.Keys = append(page.Meta.Keys, c.name)
		if c.count || q.key == fieldTime {
			page.Meta.ColumnTypes = append(page.Meta.ColumnTypes, "bigint")
		} else {
			page.Meta.ColumnTypes = append(page.Meta.ColumnTypes, "varchar")
		}
	}
	for _, v := range values[:min(q.limit, len(values))] {
		row := make(map[string]string, len(q.columns))
		for _, c := range q.columns {
			if c.count {
				row[c.name] = strconv.FormatInt(*counts[v], 10)
			} else {
				row[c.name] = v
			}
		}
		page.Data = append(page.Data, row)
	}
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareValues orders numbers by value and anything else by its bytes.
func compareValues(a, b string) int {
	x, xerr := strconv.ParseFloat(a, 64)
	y, yerr := strconv.ParseFloat(b, 64)
	if xerr != nil || yerr != nil || x == y {
		return strings.Compare(a, b)
	}
	if x < y {
		return -1
	}
	return 1
}
