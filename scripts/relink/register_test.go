package main

import "testing"

func TestEmptyModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tsl   string
		empty bool
	}{
		{"", true}, {`{}`, true}, {`{"schema":"s","profile":{"productKey":"a1"}}`, true}, {`{"properties":[],"events":[],"services":[]}`, true},
		{benchModel, false}, {simulateModel, false}, {demoModel, false}, {`{"services":[{"identifier":"reboot"}]}`, false},
	} {
		if got, err := emptyModel(c.tsl); err != nil || got != c.empty {
			t.Errorf("%.40s: %t, %v", c.tsl, got, err)
		}
	}
	if _, err := emptyModel("no JSON"); err == nil {
		t.Error("what is not JSON is taken for a model")
	}
}
