package fc

import (
	"encoding/json"
	"time"

	"relink/localstack/serverless"
)

// timers fires the timer triggers. A schedule that was missed (the clock jumped, the server was busy) fires once.
type timers struct {
	s    *Server
	list []*timer
}

type timer struct {
	f       *function
	name    string
	trigger *serverless.TimerTrigger
	next    time.Time
}

func (s *Server) newTimers() *timers {
	t := &timers{s: s}
	now := s.opt.Clock.Now()
	for _, f := range s.order {
		for _, tr := range f.Triggers {
			if tr.Timer != nil && tr.Timer.Enable {
				t.list = append(t.list, &timer{f: f, name: tr.Name, trigger: tr.Timer, next: tr.Timer.Schedule.Next(now)})
			}
		}
	}
	return t
}

// timerEvent is the event of a timer trigger. Source: Function Compute, "Timer triggers".
type timerEvent struct {
	TriggerTime string `json:"triggerTime"`
	TriggerName string `json:"triggerName"`
	Payload     string `json:"payload"`
}

func (t *timers) fire(now time.Time) {
	for _, tm := range t.list {
		if tm.next.IsZero() || now.Before(tm.next) {
			continue
		}
		due := tm.next
		tm.next = tm.trigger.Schedule.Next(now)
		body, err := json.Marshal(timerEvent{due.UTC().Format(timeLayout), tm.name, tm.trigger.Payload})
		if err != nil { // strings always marshal
			panic(err)
		}
		id := newRequestID(now)
		if e := tm.f.lane.accept(id, body); e != nil {
			t.s.log.Error("timer not fired", "function", tm.f.Name, "trigger", tm.name, "request_id", id, "error", e)
		}
	}
}
