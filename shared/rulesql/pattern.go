package rulesql

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A pattern is a compiled date pattern of Java's SimpleDateFormat: letters are fields, their number is the width, and literal
// letters stand in single quotes (rule engine reference, "Functions", pattern letters).
type pattern []patternPart

type patternPart struct {
	letter  byte // 0: literal
	count   int
	literal string
}

const patternLetters = "yMdHhmsSaEZzXD"

func parsePattern(text string) (pattern, error) {
	var p pattern
	literal := func(s string) {
		if n := len(p); n > 0 && p[n-1].letter == 0 {
			p[n-1].literal += s
			return
		}
		p = append(p, patternPart{literal: s})
	}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'':
			if strings.HasPrefix(text[i:], "''") {
				literal("'")
				i += 2
				continue
			}
			n := quotedEnd(text, i+1)
			if n < 0 {
				return nil, fmt.Errorf("the pattern %q has a quote without end", text)
			}
			literal(strings.ReplaceAll(text[i+1:n], "''", "'"))
			i = n + 1
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			n := i
			for n < len(text) && text[n] == c {
				n++
			}
			if strings.IndexByte(patternLetters, c) < 0 {
				return nil, fmt.Errorf("the pattern %q has the letter %c, which is none of %s; literal letters stand between \\' and \\'", text, c, patternLetters)
			}
			if c == 'X' && n-i > 3 || n-i > 20 {
				return nil, fmt.Errorf("the pattern %q has too many %c", text, c)
			}
			p = append(p, patternPart{letter: c, count: n - i})
			i = n
		default:
			n := i + 1
			for n < len(text) && text[n] >= 0x80 {
				n++
			}
			literal(text[i:n])
			i = n
		}
	}
	return p, nil
}

// quotedEnd is where the quote is that ends a literal; two quotes are one of the literal.
func quotedEnd(text string, i int) int {
	for ; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if !strings.HasPrefix(text[i:], "''") {
			return i
		}
		i++
	}
	return -1
}

// append writes the time t.
func (p pattern) append(dst []byte, t time.Time) []byte {
	for i := range p {
		dst = p[i].append(dst, t)
	}
	return dst
}

func (p *patternPart) append(dst []byte, t time.Time) []byte {
	switch p.letter {
	case 0:
		return append(dst, p.literal...)
	case 'y':
		if p.count == 2 {
			return pad(dst, t.Year()%100, 2)
		}
		return pad(dst, t.Year(), p.count)
	case 'M':
		switch {
		case p.count == 3:
			return append(dst, t.Month().String()[:3]...)
		case p.count > 3:
			return append(dst, t.Month().String()...)
		}
		return pad(dst, int(t.Month()), p.count)
	case 'd':
		return pad(dst, t.Day(), p.count)
	case 'D':
		return pad(dst, t.YearDay(), p.count)
	case 'H':
		return pad(dst, t.Hour(), p.count)
	case 'h':
		return pad(dst, (t.Hour()+11)%12+1, p.count)
	case 'm':
		return pad(dst, t.Minute(), p.count)
	case 's':
		return pad(dst, t.Second(), p.count)
	case 'S':
		return pad(dst, t.Nanosecond()/1e6, p.count)
	case 'a':
		return append(dst, t.Format("PM")...)
	case 'E':
		if p.count > 3 {
			return append(dst, t.Weekday().String()...)
		}
		return append(dst, t.Weekday().String()[:3]...)
	}
	return p.appendZone(dst, t)
}

func (p *patternPart) appendZone(dst []byte, t time.Time) []byte {
	name, offset := t.Zone()
	switch {
	case p.letter == 'z' && p.count > 3 && offset == 0:
		return append(dst, "Coordinated Universal Time"...)
	case p.letter == 'z' && p.count > 3 && name == "CST" && offset == 8*60*60:
		return append(dst, "China Standard Time"...)
	case p.letter == 'z':
		return append(dst, name...)
	case p.letter == 'X' && offset == 0:
		return append(dst, 'Z')
	case p.letter == 'X' && p.count == 1:
		return append(dst, t.Format("-07")...)
	case p.letter == 'X' && p.count == 3:
		return append(dst, t.Format("-07:00")...)
	}
	return append(dst, t.Format("-0700")...)
}

func pad(dst []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for i := len(s); i < width; i++ {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}
