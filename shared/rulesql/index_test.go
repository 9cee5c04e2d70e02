package rulesql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"relink/shared/iot"
)

// The index leaves out only what does not match: it is compared with asking every rule, over random rules and messages.
func TestIndexFindsWhatMatches(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	constants := []string{"0", "1", "1.0", "'1'", "'1.0'", "-3", "2.5", "9223372036854775807", "9223372036854775806", "true", "'true'", "false", "'x'", "'d1'", "null", "1+1", "''", "'1e999'"}
	values := []string{"0", "1", "1.0", "-3", "2.5", "9223372036854775807", "9223372036854775806", "1e999", "true", "false", "null", `"1"`, `"1.0"`, `"x"`, `"d1"`, `"true"`, `""`, `{}`, `[1]`, `"\u0078"`, `"1e999"`}
	probes := []string{"a", "b", "a", "deviceName()", "topic(4)", `"a[0]"`, "c.d", "'1'"}
	froms := []string{"/p/+/user/#", "/p/d1/user/x", "/p/+/user/+", "/p/+/user/x/#", "/p/d2/#", "/p/d1/user/+/y"}
	topics := []string{"/p/d1/user/x", "/p/d1/user", "/p/d2/user/x", "/p/d1/user/x/y", "/p/d3/other", "/q/d1/user/x"}
	condition := func() string {
		switch random.IntN(5) {
		case 0:
			return fmt.Sprintf("%s in (%s, %s)", pick(probes), pick(constants), pick(constants))
		case 1:
			return fmt.Sprintf("%s %s %s", pick(constants), pick([]string{"=", "<", ">="}), pick(probes))
		case 2:
			return "abs(" + pick(probes) + ") = " + pick(constants)
		}
		return fmt.Sprintf("%s %s %s", pick(probes), pick([]string{"=", "=", "<", "<=", ">", ">=", "<>"}), pick(constants))
	}
	var rules []*Rule
	for range 2000 {
		where := ""
		for i := range random.IntN(4) {
			if i > 0 {
				where += pick([]string{" and ", " and ", " or "})
			}
			where += condition()
		}
		from, err := ParseFrom(pick(froms))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Compile(Definition{Select: "a", From: from, Where: where})
		if err != nil {
			t.Fatal(where, err)
		}
		rules = append(rules, r)
	}
	x := NewIndex(rules)
	ctx := context.Background()
	asked, matching := 0, 0
	for range 300 {
		m := &Message{Topic: pick(topics), Device: iot.DeviceRef{ProductKey: "p", DeviceName: "d1"}}
		m.Payload = fmt.Appendf(nil, `{"a":%s,"b":%s,"c":{"d":%s}}`, pick(values), pick(values), pick(values))
		if random.IntN(20) == 0 {
			m.Payload = []byte("not JSON")
		}
		found := map[int]bool{}
		x.Match(nil, m, func(i int) bool {
			if found[i] {
				t.Fatalf("rule %d found twice", i)
			}
			found[i] = true
			return true
		})
		asked += len(found)
		topicFits := false
		for i, r := range rules {
			res := r.Eval(ctx, nil, m)
			topicFits = topicFits || res.Outcome != OtherTopic
			if res.Outcome == Matched {
				matching++
			}
			if wants := res.Outcome == Matched || res.Outcome == Failed; wants && !found[i] {
				t.Errorf("%s of %s on %s: %s, but the index left it out", r.Statement(), m.Payload, m.Topic, res.Outcome)
			}
		}
		if x.Topic(m.Topic) != topicFits {
			t.Errorf("Topic(%s) = %v", m.Topic, !topicFits)
		}
	}
	if matching == 0 || asked > 300*1000 {
		t.Errorf("%d matches, %d asked: the test is no test", matching, asked)
	}
}

func TestIndexAsksOnlyWhatMayMatch(t *testing.T) {
	t.Parallel()
	var rules []*Rule
	for i := range 1000 {
		rules = append(rules, mustCompile(t, fmt.Sprintf(`SELECT a FROM /p/+/user/x WHERE b = 1 AND deviceName() = 'd%d'`, i)),
			mustCompile(t, fmt.Sprintf(`SELECT a FROM /p/+/user/y WHERE a > %d AND a < 5`, 2*i)))
	}
	x := NewIndex(rules)
	for topicName, want := range map[string][]int{"/p/d7/user/x": {}, "/p/d7/user/y": {1, 3}, "/p/d7/user/z": {}} {
		m := &Message{Topic: topicName, Device: iot.DeviceRef{ProductKey: "p", DeviceName: "d7"}, Payload: []byte(`{"a":3,"b":2}`)}
		got := []int{}
		x.Match(nil, m, func(i int) bool { got = append(got, i); return true })
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", topicName, got, want)
		}
	}
	// It stops when it is told to.
	m := &Message{Topic: "/p/d7/user/y", Payload: []byte(`{"a":300}`)}
	calls := 0
	x.Match(nil, m, func(int) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}
