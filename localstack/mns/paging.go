package mns

import (
	"slices"
	"strconv"
	"strings"
)

// A paging is which part of a list is asked for, in headers.
type paging struct {
	prefix string
	marker string // of the page before: the last name in it
	count  int
	meta   bool // attributes, not only addresses
}

const maxPage = 1000

func (rq *request) paging() (paging, error) {
	h := rq.r.Header
	p := paging{prefix: h.Get("x-mns-prefix"), marker: h.Get("x-mns-marker"), count: maxPage, meta: strings.EqualFold(h.Get("x-mns-with-meta"), "true")}
	if text := h.Get("x-mns-ret-number"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return p, outOfRange("x-mns-ret-number", 1, maxPage, "items")
		}
		p.count = n
	}
	return p, nil
}

// page returns the names of a page, and the marker of the next one if there is one.
func page[T any](all map[string]T, p paging) (names []string, next string) {
	for name := range all {
		if strings.HasPrefix(name, p.prefix) && name > p.marker {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > p.count {
		names = names[:p.count]
		next = names[p.count-1]
	}
	return names, next
}
