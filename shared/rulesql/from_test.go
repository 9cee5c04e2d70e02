package rulesql

import (
	"errors"
	"strings"
	"testing"

	"relink/shared/iot"
)

// The sources and spellings of the rule engine reference, "FROM: topics".
func TestParseFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, pattern string
		source        Source
		short         string
	}{
		{`/a1x/d1/user/update`, "/a1x/d1/user/update", Custom, "d1/user/update"},
		{`"/a1x/+/user/#"`, "/a1x/+/user/#", Custom, "+/user/#"},
		{`'/a1x/+/user/+/error'`, "/a1x/+/user/+/error", Custom, "+/user/+/error"},
		{`a1x/d1/get`, "/a1x/d1/get", Custom, "d1/get"},
		{`/as/mqtt/status/a1x/+`, "/as/mqtt/status/a1x/+", Status, "+"},
		{`as/mqtt/status/a1x/d1`, "/as/mqtt/status/a1x/d1", Status, "d1"},
		{`/sys/a1x/+/thing/event/property/post`, "/a1x/+/thing/event/property/post", PropertyPost, "+/thing/event/property/post"},
		{`sys/a1x/d1/thing/event/property/post`, "/a1x/d1/thing/event/property/post", PropertyPost, "d1/thing/event/property/post"},
		{`/a1x/+thing/event/property/post`, "/a1x/+/thing/event/property/post", PropertyPost, "+/thing/event/property/post"},
		{`/a1x/d1/thing/event/alarm/post`, "/a1x/d1/thing/event/alarm/post", EventPost, "d1/thing/event/alarm/post"},
		{`/a1x/d1/thing/event/main:alarm/post`, "/a1x/d1/thing/event/main:alarm/post", EventPost, "d1/thing/event/main:alarm/post"},
		{`/a1x/d1/thing/event/+/post`, "/a1x/d1/thing/event/+/post", EventPost, "d1/thing/event/+/post"},
		{`/a1x/d1/thing/property/batch/post`, "/a1x/d1/thing/property/batch/post", PropertyBatch, "d1/thing/property/batch/post"},
		{`/sys/a1x/d1/thing/event/property/batch/post`, "/a1x/d1/thing/property/batch/post", PropertyBatch, "d1/thing/property/batch/post"},
		{`/a1x/d1/thing/event/batch/post`, "/a1x/d1/thing/event/batch/post", EventBatch, "d1/thing/event/batch/post"},
		{`/a1x/d1/thing/downlink/reply/message`, "/a1x/d1/thing/downlink/reply/message", DownlinkReply, "d1/thing/downlink/reply/message"},
		{`/a1x/d1/thing/event/property/history/post`, "/a1x/d1/thing/event/property/history/post", PropertyHistory, "d1/thing/event/property/history/post"},
		{`/a1x/d1/thing/event/alarm/history/post`, "/a1x/d1/thing/event/alarm/history/post", EventHistory, "d1/thing/event/alarm/history/post"},
		{`/a1x/+/thing/lifecycle`, "/a1x/+/thing/lifecycle", Lifecycle, "+/thing/lifecycle"},
		{`/a1x/+/thing/topo/lifecycle`, "/a1x/+/thing/topo/lifecycle", TopoLifecycle, "+/thing/topo/lifecycle"},
		{`/a1x/+/thing/list/found`, "/a1x/+/thing/list/found", ListFound, "+/thing/list/found"},
		{`/a1x/+/thing/deviceinfo/update`, "/a1x/+/thing/deviceinfo/update", Tags, "+/thing/deviceinfo/update"},
		{`/a1x/+/ota/upgrade`, "/a1x/+/ota/upgrade", OTAResult, "+/ota/upgrade"},
		{`/a1x/+/ota/progress/post`, "/a1x/+/ota/progress/post", OTAProgress, "+/ota/progress/post"},
		{`/a1x/+/ota/version/post`, "/a1x/+/ota/version/post", OTAVersion, "+/ota/version/post"},
		{`/a1x/+/+/ota/job/status`, "/a1x/+/+/ota/job/status", OTAJob, "+/+/ota/job/status"},
		{`/a1x/pack1/job1/ota/job/status`, "/a1x/pack1/job1/ota/job/status", OTAJob, "pack1/job1/ota/job/status"},
	} {
		f, err := ParseFrom(c.text)
		if err != nil || f.Pattern != c.pattern || f.Source != c.source || f.ProductKey != "a1x" || f.ShortTopic() != c.short {
			t.Errorf("ParseFrom(%s) = %+v %q, %v", c.text, f, f.ShortTopic(), err)
			continue
		}
		again, err := FromParts(f.ProductKey, f.ShortTopic(), f.TopicType())
		if err != nil || again != f {
			t.Errorf("FromParts(%s, %d) = %+v, %v", f.ShortTopic(), f.TopicType(), again, err)
		}
		if f.Source.String() == "unknown" {
			t.Errorf("%d has no name", f.Source)
		}
	}
	if f, err := FromParts("a1x", "d1thing/event/property/post", ThingTopic); err != nil || f.Pattern != "/a1x/d1/thing/event/property/post" {
		t.Errorf("without a slash: %+v, %v", f, err)
	}
}

func TestParseFromRefuses(t *testing.T) {
	t.Parallel()
	for text, topicIsWrong := range map[string]bool{
		"": false, `""`: false, "/a1x": false, "/a1x/d1": false, "/+/d1/user/x": false, "/a1x/#": false, "/a1x/d 1/user/x": false,
		"/a1x/d1/user/a+": false, "/a1x/d1/user/#/x": false, "/a1x/d1/user//x": false, "/a1x/d1/thing/nothing": true,
		"/a1x/d1/ota/nothing": true, "/a1x/d1/thing/event/a b/post": true, "/a1x/d1/thing/event/#": true, "/a1x/#/x/ota/job/status": true,
		"/sys/sys/a1x/d1/x": false, "/as/d1/user/x": false, "/a1x/d1/user/x\x00": false, "/a1x/d1/user/\xff": false, "/a1x/d1" + strings.Repeat("/x", 40): false,
		"/a1x/d1/" + strings.Repeat("x", 600): false, "/as/mqtt/status/+/+": false, "/as/mqtt/status/a1x": false, "/a1x/#/thing/lifecycle": false,
	} {
		f, err := ParseFrom(text)
		e, ok := errors.AsType[*SyntaxError](err)
		if !ok || e.Topic != topicIsWrong || e.Part != InFrom {
			t.Errorf("ParseFrom(%.60q) = %+v, %v", text, f, err)
		}
	}
	for _, c := range []struct {
		pk    iot.ProductKey
		short string
		kind  int
	}{{"a1x", "d1/user/x", 0}, {"a1x", "d1/thing/lifecycle", 1}, {"a1x", "d1/thing/x", 1}, {"a1x", "d1/x", 2}, {"a1x", "d1", 3}, {"", "d1/user/x", 1}} {
		if f, err := FromParts(c.pk, c.short, c.kind); err == nil {
			t.Errorf("FromParts(%v) = %+v", c, f)
		}
	}
}
