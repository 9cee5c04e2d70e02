package serverless

import (
	"fmt"
	"sort"
	"strings"
)

// A Problem is one thing wrong with the file.
type Problem struct {
	File string // base name, as given by the caller
	Line int    // 1-based; 0 when it concerns the whole file
	What string
}

func (p Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What) }

// Problems is the error that Load and Parse return for a file that is not usable: all its problems in
// the order of their lines, one line each.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// problems collects Problems; a template's problem that several resources inherit is kept once.
type problems struct {
	file string
	list Problems
	seen map[Problem]bool
}

func (ps *problems) addf(line int, format string, args ...any) {
	p := Problem{File: ps.file, Line: line, What: fmt.Sprintf(format, args...)}
	if ps.seen == nil {
		ps.seen = make(map[Problem]bool)
	}
	if !ps.seen[p] {
		ps.seen[p] = true
		ps.list = append(ps.list, p)
	}
}

func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	sort.SliceStable(ps.list, func(i, j int) bool { return ps.list[i].Line < ps.list[j].Line })
	return ps.list
}
