package store

// A Page collects one answer of a query over time, in the query's order. Items of one time are never split over two pages, because
// the next page begins with a time: a page ends before a time of which it cannot take all items, and is longer than Limit only if
// a single time has more.
type Page[T any] struct {
	Limit int
	Time  func(*T) int64
	Items []T
	Next  int64 // where the next page begins; 0 if there is none
}

// Add takes the next item and reports whether the page wants another.
func (p *Page[T]) Add(v T) bool {
	n, at := len(p.Items), p.Time(&v)
	if n < p.Limit || at == p.Time(&p.Items[0]) {
		p.Items = append(p.Items, v)
		return true
	}
	for n > 0 && p.Time(&p.Items[n-1]) == at {
		n--
	}
	p.Items, p.Next = p.Items[:n], at
	return false
}

// ValuePage is a page of Properties.History.
func ValuePage(limit int) Page[Value] {
	return Page[Value]{Limit: limit, Time: func(v *Value) int64 { return v.Time }}
}

// EventPage is a page of Events.List.
func EventPage(limit int) Page[Event] {
	return Page[Event]{Limit: limit, Time: func(e *Event) int64 { return e.Time }}
}

// CallPage is a page of Calls.List.
func CallPage(limit int) Page[Call] {
	return Page[Call]{Limit: limit, Time: func(c *Call) int64 { return c.Time }}
}
