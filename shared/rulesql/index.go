package rulesql

import (
	"cmp"
	"slices"
	"strings"
)

// An Index finds, among many rules, those that may want a message, without asking each. It looks at the topic, level by level,
// and then at a condition that each rule has as a whole or as a part of an AND and without which it cannot be met: a value equal
// to a constant, one IN constants, or a number on one side of a constant. What it finds has still to be asked; what it leaves out
// is OtherTopic or NotMet. It is made once and safe for concurrent use.
type Index struct {
	root indexNode
}

// An indexNode is a level of topics.
type indexNode struct {
	levels map[string]*indexNode
	plus   *indexNode
	here   *leaf // patterns that end here
	hash   *leaf // patterns that go on with #
}

// A leaf holds the rules with one pattern, as positions.
type leaf struct {
	always []int
	probes []*probe
}

// A probe is a value on which conditions of several rules depend.
type probe struct {
	text    string
	value   op
	payload bool // looks into the payload
	all     []int
	equal   map[probeKey][]int
	greater []threshold // met by values from here up; ascending
	less    []threshold // met by values up to here; ascending
}

type threshold struct {
	at   float64
	rule int
}

// A probeKey is the same for all values that = may call equal.
type probeKey struct {
	number float64
	text   string
}

// NewIndex indexes rules; Match calls them by their positions in the slice.
func NewIndex(rules []*Rule) *Index {
	x := new(Index)
	for i, r := range rules {
		x.leafOf(r.from.Pattern).add(i, r)
	}
	x.root.sort()
	return x
}

func (x *Index) leafOf(pattern string) *leaf {
	n := &x.root
	for level := range strings.SplitSeq(pattern, "/") {
		switch level {
		case "#":
			if n.hash == nil {
				n.hash = new(leaf)
			}
			return n.hash
		case "+":
			if n.plus == nil {
				n.plus = new(indexNode)
			}
			n = n.plus
		default:
			next := n.levels[level]
			if next == nil {
				if n.levels == nil {
					n.levels = map[string]*indexNode{}
				}
				next = new(indexNode)
				n.levels[level] = next
			}
			n = next
		}
	}
	if n.here == nil {
		n.here = new(leaf)
	}
	return n.here
}

// Topic reports whether some rule takes messages of a forwarding topic, whatever is in them.
func (x *Index) Topic(forwarding string) bool {
	found := false
	x.root.walk(forwarding, true, func(*leaf) bool { found = true; return false })
	return found
}

// Match calls yield with the position of each rule that may want the message, in no order, until yield says false.
func (x *Index) Match(env *Env, m *Message, yield func(rule int) bool) {
	x.root.walk(m.Topic, true, func(l *leaf) bool { return l.match(env, m, yield) })
}

// walk visits the leaves whose patterns fit; rest is what follows of the topic, if more.
func (n *indexNode) walk(rest string, more bool, visit func(*leaf) bool) bool {
	if n.hash != nil && !visit(n.hash) {
		return false
	}
	if !more {
		return n.here == nil || visit(n.here)
	}
	level, rest, more := strings.Cut(rest, "/")
	if next := n.levels[level]; next != nil && !next.walk(rest, more, visit) {
		return false
	}
	return n.plus == nil || n.plus.walk(rest, more, visit)
}

func (l *leaf) match(env *Env, m *Message, yield func(int) bool) bool {
	if !yieldAll(l.always, yield) {
		return false
	}
	for _, p := range l.probes {
		if !p.match(env, m, yield) {
			return false
		}
	}
	return true
}

func yieldAll(rules []int, yield func(int) bool) bool {
	for _, r := range rules {
		if !yield(r) {
			return false
		}
	}
	return true
}

func (p *probe) match(env *Env, m *Message, yield func(int) bool) bool {
	if p.payload {
		if _, err := m.document(); err != nil {
			return yieldAll(p.all, yield) // each of them has to say that it is not its format
		}
	}
	m.run = run{env: env, msg: m, steps: DefaultMaxSteps}
	v := p.value.eval(&m.run)
	if m.run.err != nil {
		return yieldAll(p.all, yield)
	}
	if key, ok := keyOf(v); ok && !yieldAll(p.equal[key], yield) {
		return false
	}
	if v.kind != Number && v.kind != String {
		return true // ordered with nothing
	}
	n, ok := v.numeric()
	if !ok { // text compares with the digits of a number
		return yieldThresholds(p.greater, yield) && yieldThresholds(p.less, yield)
	}
	f := n.float()
	end, _ := slices.BinarySearchFunc(p.greater, f, func(t threshold, f float64) int {
		if t.at <= f {
			return -1
		}
		return 1
	})
	start, _ := slices.BinarySearchFunc(p.less, f, func(t threshold, f float64) int {
		if t.at < f {
			return -1
		}
		return 1
	})
	return yieldThresholds(p.greater[:end], yield) && yieldThresholds(p.less[start:], yield)
}

func yieldThresholds(ts []threshold, yield func(int) bool) bool {
	for _, t := range ts {
		if !yield(t.rule) {
			return false
		}
	}
	return true
}

// keyOf is false for what is equal to no constant.
func keyOf(v Value) (probeKey, bool) {
	switch v.kind {
	case Bool:
		return probeKey{number: float64(v.bits)}, true
	case Number, String:
		if n, ok := v.numeric(); ok {
			return probeKey{number: n.float()}, true
		}
		if v.kind == Number {
			return probeKey{}, false
		}
		switch s := v.Text(); s {
		case "true":
			return probeKey{number: 1}, true
		case "false":
			return probeKey{}, true
		default:
			return probeKey{text: s + "\x00"}, true // never the key of a number
		}
	}
	return probeKey{}, false
}

func (n *indexNode) sort() {
	for _, l := range []*leaf{n.here, n.hash} {
		if l == nil {
			continue
		}
		for _, p := range l.probes {
			for _, ts := range [][]threshold{p.greater, p.less} {
				slices.SortFunc(ts, func(a, b threshold) int { return cmp.Compare(a.at, b.at) })
			}
		}
	}
	for _, next := range n.levels {
		next.sort()
	}
	if n.plus != nil {
		n.plus.sort()
	}
}
