package serverless

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // CRON_TZ on machines without a zone database
)

// A Schedule is a parsed cronExpression of a timer trigger. The zero value never fires.
type Schedule struct {
	every                              time.Duration // @every
	zone                               *time.Location
	second, minute, hour, day, mon, wd uint64
	anyDay, anyWeekday                 bool
}

// ParseSchedule parses "@every 1m" (at least one minute) or six fields "sec min hour dom mon dow", in UTC
// unless "CRON_TZ=Asia/Shanghai " precedes them. Fields take *, ?, lists, ranges, steps and English names.
// Source: Function Compute, "Timer triggers".
func ParseSchedule(expr string) (Schedule, error) {
	expr = strings.TrimSpace(expr)
	if rest, ok := strings.CutPrefix(expr, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(rest))
		if err != nil {
			return Schedule{}, fmt.Errorf("@every: %q is not a duration", rest)
		}
		if d < time.Minute {
			return Schedule{}, fmt.Errorf("@every %s: at least 1m", rest)
		}
		return Schedule{every: d}, nil
	}
	s := Schedule{zone: time.UTC}
	if rest, ok := strings.CutPrefix(expr, "CRON_TZ="); ok {
		name, fields, _ := strings.Cut(rest, " ")
		zone, err := time.LoadLocation(name)
		if err != nil {
			return Schedule{}, fmt.Errorf("time zone %q is unknown", name)
		}
		s.zone, expr = zone, fields
	}
	fields := strings.Fields(expr)
	if len(fields) != 6 {
		return Schedule{}, fmt.Errorf("%d fields: want six (second minute hour day month weekday) or @every DURATION", len(fields))
	}
	for i, spec := range [...]struct {
		name   string
		lo, hi int
		names  []string
		out    *uint64
	}{
		{"second", 0, 59, nil, &s.second},
		{"minute", 0, 59, nil, &s.minute},
		{"hour", 0, 23, nil, &s.hour},
		{"day", 1, 31, nil, &s.day},
		{"month", 1, 12, months, &s.mon},
		{"weekday", 0, 6, weekdays, &s.wd},
	} {
		set, err := cronField(fields[i], spec.lo, spec.hi, spec.names)
		if err != nil {
			return Schedule{}, fmt.Errorf("%s field %q: %w", spec.name, fields[i], err)
		}
		*spec.out = set
	}
	s.anyDay = strings.HasPrefix(fields[3], "*") || fields[3] == "?"
	s.anyWeekday = strings.HasPrefix(fields[5], "*") || fields[5] == "?"
	return s, nil
}

var (
	months   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

// cronField returns the set of allowed values as a bit set.
func cronField(field string, lo, hi int, names []string) (uint64, error) {
	value := func(s string) (int, error) {
		for i, n := range names {
			if strings.EqualFold(n, s) {
				return lo + i, nil
			}
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < lo || v > hi {
			return 0, fmt.Errorf("want %d to %d", lo, hi)
		}
		return v, nil
	}
	var out uint64
	for _, part := range strings.Split(field, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to := lo, hi
		if span != "*" && span != "?" {
			a, b, ranged := strings.Cut(span, "-")
			var err error
			if from, err = value(a); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if to, err = value(b); err != nil {
					return 0, err
				}
				if to < from {
					return 0, errors.New("the range ends before it begins")
				}
			case !stepped:
				to = from
			}
		}
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, errors.New("the step must be a positive number")
			}
		}
		for v := from; v <= to; v += step {
			out |= 1 << v
		}
	}
	return out, nil
}

// Next is the first time after t at which the schedule fires, or the zero time when there is none within
// five years. @every counts in whole periods since the Unix epoch, so that a restart keeps the rhythm.
func (s Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		n := t.UnixNano()/int64(s.every) + 1
		return time.Unix(0, n*int64(s.every)).UTC()
	}
	if s.zone == nil {
		return time.Time{}
	}
	t = t.In(s.zone).Truncate(time.Second).Add(time.Second)
	for limit := t.AddDate(5, 0, 0); t.Before(limit); {
		year, mon, day := t.Date()
		switch {
		case s.mon&(1<<mon) == 0:
			t = later(t, time.Date(year, mon+1, 1, 0, 0, 0, 0, s.zone))
		case !s.onDay(t):
			t = later(t, time.Date(year, mon, day+1, 0, 0, 0, 0, s.zone))
		case s.hour&(1<<t.Hour()) == 0:
			t = t.Truncate(time.Second).Add(time.Hour - time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second)
		case s.minute&(1<<t.Minute()) == 0:
			t = t.Add(time.Minute - time.Duration(t.Second())*time.Second)
		case s.second&(1<<t.Second()) == 0:
			t = t.Add(time.Duration(bits.TrailingZeros64(s.second>>t.Second()|1<<(60-t.Second()))) * time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}

// later returns next, unless a midnight that daylight saving skips would keep the search in place.
func later(t, next time.Time) time.Time {
	if next.After(t) {
		return next
	}
	return t.Add(time.Hour)
}

// onDay follows cron: when day and weekday are both restricted, either may match.
func (s Schedule) onDay(t time.Time) bool {
	day, weekday := s.day&(1<<t.Day()) != 0, s.wd&(1<<t.Weekday()) != 0
	if s.anyDay || s.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
