package uplink

import (
	"testing"

	"relink/shared/topic"
)

// "Golden examples", G-29, and what else may stand there.
func TestNTP(t *testing.T) {
	t.Parallel()
	const name = "/ext/ntp/a1GoldenPk1/thermo-01/request"
	up, err := topic.ParseUplink(name)
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"deviceSendTime":"1767225600000"}`:           `{"deviceSendTime":"1767225600000","serverSendTime":"1767225600103","serverRecvTime":"1767225600100"}`,
		`{"deviceSendTime":100}`:                       `{"deviceSendTime":100,"serverSendTime":1767225600103,"serverRecvTime":1767225600100}`,
		`{'deviceSendTime':-1.5,}`:                     `{"deviceSendTime":-1.5,"serverSendTime":1767225600103,"serverRecvTime":1767225600100}`,
		`{}`:                                           `{"deviceSendTime":"0","serverSendTime":"1767225600103","serverRecvTime":"1767225600100"}`,
		`{"deviceSendTime":null}`:                      `{"deviceSendTime":null,"serverSendTime":"1767225600103","serverRecvTime":"1767225600100"}`,
		`{"deviceSendTime":{"a":1}}`:                   `{"deviceSendTime":"0","serverSendTime":"1767225600103","serverRecvTime":"1767225600100"}`,
		`{"deviceSendTime":"12345678901234567890123"}`: `{"deviceSendTime":"0","serverSendTime":"1767225600103","serverRecvTime":"1767225600100"}`,
	} {
		r := ntpAt(&Message{Topic: name, Parsed: up, Payload: []byte(payload), ReceivedAt: 1767225600100}, 1767225600103)
		if len(r.Replies) != 1 || string(r.Replies[0].Payload) != want || r.Replies[0].Topic != "/ext/ntp/a1GoldenPk1/thermo-01/response" {
			t.Errorf("%s: %+v, want %s", payload, r, want)
		}
	}
	if r := ntpAt(&Message{Topic: name, Parsed: up, Payload: []byte("now?")}, 1); r.Code != 6207 || len(r.Replies) != 0 {
		t.Errorf("not JSON: %+v", r)
	}
}
