package rulesql

import "time"

// timeFunctions tell the time of evaluation (rule engine reference, "Functions", timestamp).
var timeFunctions = []function{
	clockFunction("timestamp", (*Env).zone),
	clockFunction("timestamp_utc", func(*Env) *time.Location { return time.UTC }),
}

func clockFunction(name string, zone func(*Env) *time.Location) function {
	return function{name: name, min: 0, max: 1, verify: func(args []Expr) string {
		if len(args) == 0 {
			return ""
		}
		text, ok := constantText(args[0])
		if !ok {
			return "the pattern of " + name + " is a string in single quotes"
		}
		if _, err := parsePattern(text); err != nil {
			return err.Error()
		}
		return ""
	}, build: func(args []Expr) op {
		if len(args) == 0 {
			return &call0{f: func(c *run) Value { return intValue(c.env.now().UnixMilli()) }}
		}
		text, _ := constantText(args[0])
		p, err := parsePattern(text)
		if err != nil {
			return constant{} // not reached: verify refused it
		}
		return &call0{f: func(c *run) Value {
			c.spend(len(p))
			return stringValue(string(p.append(nil, c.env.now().In(zone(c.env)))))
		}}
	}}
}
