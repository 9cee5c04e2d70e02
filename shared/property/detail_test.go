package property_test

import (
	"strings"
	"testing"

	"relink/shared/record"
)

// TestMalformedDetail: the log names the member that is wrong.
func TestMalformedDetail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, params, want string }{
		{"property", `[1]`, "params is not an object"},
		{"property/batch", `{"properties":[1]}`, "properties is not an object"},
		{"property/batch", `{"events":7}`, "events is not an object"},
		{"property/pack", `{"subDevices":{}}`, "subDevices is not an array"},
		{"property/pack", `{"subDevices":[{"properties":{}}]}`, "subDevices[0]: identity is missing"},
		{"property/pack", `{"subDevices":[{"identity":{"productKey":"a1SubDevPk1"}}]}`, "subDevices[0]: identity.deviceName"},
		{"property/history", `{}`, "params is not an array"},
		{"property/history", `[7]`, "params[0]: is not an object"},
		{"property/history", `[{"properties":{}}]`, "properties is not an array"},
		{"property/history", `[{"properties":[7]}]`, "an entry of properties is not an object"},
	} {
		_, service := newGolden(t, 1)
		r := service.Post(t.Context(), []record.Record{message(gateway, "event/"+c.kind+"/post", "m1", `{"id":"1","params":`+c.params+`}`)})[0]
		if r.Code != 460 || !strings.Contains(r.Detail, c.want) || strings.Contains(string(r.Replies[0].Payload), c.want) {
			t.Errorf("%s %s: code %d, detail %q, want %q", c.kind, c.params, r.Code, r.Detail, c.want)
		}
	}
}
