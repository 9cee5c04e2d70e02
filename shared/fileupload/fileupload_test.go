package fileupload_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/fileupload"
	"relink/shared/iot"
	objects "relink/shared/objects/memory"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store/memory"
)

var dev = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

type fixture struct {
	t       *testing.T
	now     time.Time
	store   *memory.Store
	bucket  *objects.Bucket
	service *fileupload.Service
	desk    *exchange.Desk
	next    int
	seen    map[refusal.Cause]bool
}

func setUp(t *testing.T, quota int64) *fixture {
	f := &fixture{t: t, now: time.UnixMilli(1_767_225_600_000), store: memory.New(), bucket: new(objects.Bucket), seen: make(map[refusal.Cause]bool)}
	f.service = fileupload.New(f.store.Files(), f.bucket, quota, func() time.Time { return f.now })
	f.desk = &exchange.Desk{Families: f.service.Families(), Log: slog.New(slog.DiscardHandler)}
	return f
}

func (f *fixture) serve(verb, payload, messageID string) (record.Result, string) {
	f.t.Helper()
	topic := "/sys/a1GoldenPk1/thermo-01/thing/file/upload/mqtt/" + verb
	r := f.desk.Serve(f.t.Context(), "n1", []record.Record{{MessageID: messageID, Device: dev, Topic: topic, Payload: []byte(payload)}})[0]
	if len(r.Replies) == 0 {
		return r, ""
	}
	if r.Replies[0].Topic != topic+"_reply" {
		f.t.Errorf("reply on %s", r.Replies[0].Topic)
	}
	return r, string(r.Replies[0].Payload)
}

func (f *fixture) ask(verb, payload string) (int32, string) {
	f.t.Helper()
	f.next++
	r, reply := f.serve(verb, payload, fmt.Sprint("m", f.next))
	if causes := causesOf[r.Code]; causes != nil && !slices.Contains(causes, refusal.Cause(r.Reason)) {
		f.t.Errorf("code %d is logged as %q, want one of %v", r.Code, r.Reason, causes)
	}
	f.seen[refusal.Cause(r.Reason)] = true
	return r.Code, reply
}

// causesOf is how each code is logged.
var causesOf = map[int32][]refusal.Cause{
	200: {""}, 460: {refusal.FileNameInvalid, refusal.ParamsMalformed, refusal.PayloadEmpty}, 6207: {refusal.PayloadNotJSON},
	78117: {refusal.FileTooLarge}, 78118: {refusal.FileBlockSize}, 78119: {refusal.FileOffset}, 78120: {refusal.FileBlockSize},
	78121: {refusal.FileBlockDamaged}, 78122: {refusal.FileUploadUnknown}, 78123: {refusal.FileExists}, 78124: {refusal.FileUploadFinished},
	78125: {refusal.FileDamaged}, 78127: {refusal.FileStorageFull},
}

// begin begins an upload and gives its id.
func (f *fixture) begin(params string) string {
	f.t.Helper()
	code, reply := f.ask("init", `{"id":"1","params":`+params+`}`)
	_, rest, ok := strings.Cut(reply, `"uploadId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if code != 200 || !ok {
		f.t.Fatalf("init: %s", reply)
	}
	return id
}

func frame(id string, offset int64, data []byte, complete bool) string {
	head := fmt.Sprintf(`{"id":"12","params":{"uploadId":"%s","offset":%d,"bSize":%d,"isComplete":%t}}`, id, offset, len(data), complete)
	b := binary.BigEndian.AppendUint16(nil, uint16(len(head)))
	b = append(append(b, head...), data...)
	return string(binary.LittleEndian.AppendUint16(b, alink.CRC16(data)))
}

// file reads the file that the device has under a name.
func (f *fixture) file(name string) string {
	f.t.Helper()
	row, err := f.store.Files().Get(f.t.Context(), dev, name)
	if err != nil {
		f.t.Fatal(err)
	}
	if row == nil {
		return "<none>"
	}
	data, err := f.bucket.Read(f.t.Context(), row.Object, 0, 1<<30)
	if err != nil || int64(len(data)) != row.Size {
		f.t.Fatalf("file %s has %d bytes of %d: %v", name, len(data), row.Size, err)
	}
	return string(data)
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	if got := alink.CRC16([]byte("123456789")); got != 0xBB3D {
		t.Errorf("CRC-16/ARC %#x", got)
	}
	if got := alink.CRC16([]byte("hello, relink")); got != 0xd03c {
		t.Errorf("CRC-16/ARC %#x", got)
	}
	if got := crc64.Checksum([]byte("123456789"), crc64.MakeTable(crc64.ECMA)); got != 0x995dc9bbdf1939fa {
		t.Errorf("CRC-64/XZ %#x", got)
	}
}

// G-35 to G-37, but for the upload's id.
func TestGolden(t *testing.T) {
	t.Parallel()
	f := setUp(t, 0)
	const init = `{"id":"11","params":{"fileName":"a.txt","fileSize":13,"conflictStrategy":"overwrite","ficMode":"crc64","ficValue":"c8f7732ffc0b8fc8","initUid":"176722560000042"}}`
	_, reply := f.ask("init", init)
	_, rest, _ := strings.Cut(reply, `"uploadId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	want := `{"code":200,"data":{"fileName":"a.txt","uploadId":"` + id + `","fileSize":13,"conflictStrategy":"overwrite","ficMode":"crc64","ficValue":"c8f7732ffc0b8fc8"},"id":"11","message":"success","method":"thing.file.upload.mqtt.init","version":"1.0"}`
	if reply != want || len(id) < 1 || len(id) > 63 {
		t.Errorf("init\n%s\nwant\n%s", reply, want)
	}
	if _, again := f.ask("init", init); again != reply {
		t.Errorf("init again: %s", again)
	}
	_, reply = f.ask("init", `{"id":"11","params":{"fileName":"a.txt","fileSize":16777217}}`)
	if want := `{"code":78117,"data":{"fileName":"a.txt"},"id":"11","message":"file size exceeds 16 MB","method":"thing.file.upload.mqtt.init","version":"1.0"}`; reply != want {
		t.Errorf("too large\n%s\nwant\n%s", reply, want)
	}
	golden, err := hex.DecodeString("00517b226964223a223132222c22706172616d73223a7b2275706c6f61644964223a227537467132222c226f6666736574223a302c226253697a65223a31332c226973436f6d706c657465223a747275657d7d68656c6c6f2c2072656c696e6b3cd0")
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != frame("u7Fq2", 0, []byte("hello, relink"), true) {
		t.Error("the frame of these tests is not the golden one")
	}
	payload := frame(id, 0, []byte("hello, relink"), true)
	flipped := payload[:len(payload)-3] + "K" + payload[len(payload)-2:]
	_, reply = f.ask("send", flipped)
	if want := `{"code":78121,"data":{"uploadId":"` + id + `","offset":0,"bSize":13},"id":"12","message":"block crc check failed","method":"thing.file.upload.mqtt.send","version":"1.0"}`; reply != want {
		t.Errorf("flipped\n%s\nwant\n%s", reply, want)
	}
	want = `{"code":200,"data":{"uploadId":"` + id + `","offset":0,"bSize":13,"complete":true,"ficMode":"crc64","ficValueClient":"c8f7732ffc0b8fc8","ficValueServer":"c8f7732ffc0b8fc8"},"id":"12","message":"success","method":"thing.file.upload.mqtt.send","version":"1.0"}`
	for range 2 {
		if _, reply = f.ask("send", payload); reply != want {
			t.Errorf("send\n%s\nwant\n%s", reply, want)
		}
	}
	if got := f.file("a.txt"); got != "hello, relink" {
		t.Errorf("the file is %q", got)
	}
	if code, _ := f.ask("init", init); code != 78124 {
		t.Errorf("init of a finished upload: %d", code)
	}
	if !f.seen[refusal.FileUploadFinished] || !f.seen[refusal.FileBlockDamaged] {
		t.Errorf("logged as %v", f.seen)
	}
	id = f.begin(`{"fileName":"b.txt","fileSize":-1}`)
	for range 2 {
		_, reply = f.ask("cancel", `{"id":"13","params":{"uploadId":"`+id+`"}}`)
		if want := `{"code":200,"data":{"uploadId":"` + id + `"},"id":"13","message":"success","method":"thing.file.upload.mqtt.cancel","version":"1.0"}`; reply != want {
			t.Errorf("cancel\n%s\nwant\n%s", reply, want)
		}
	}
	if code, _ := f.ask("send", frame(id, 0, []byte("x"), true)); code != 78122 {
		t.Errorf("send after cancel: %d", code)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := setUp(t, 20<<20)
	for params, code := range map[string]int32{
		`{"fileName":""}`: 460, `{"fileName":"_a"}`: 460, `{"fileName":"a/b"}`: 460, `{"fileName":"` + strings.Repeat("a", 101) + `"}`: 460,
		`{"fileName":"a","fileSize":0}`: 460, `{"fileName":"a","initUid":"12345678901234567"}`: 460, `{"fileName":"a","fileSize":-2}`: 460, `{"fileName":"a","fileSize":"x"}`: 460, `{"fileName":"a","conflictStrategy":"other"}`: 460,
		`{"fileName":"a","ficMode":"md5","ficValue":"c8f7732ffc0b8fc8"}`: 460, `{"fileName":"a","ficMode":"crc64","ficValue":"zzf7732ffc0b8fc8"}`: 460, `{"fileName":"a","fileSize":20000000}`: 78117, `[]`: 460,
	} {
		if got, reply := f.ask("init", `{"id":"1","params":`+params+`}`); got != code || !strings.Contains(reply, `"data":{"fileName":"`) {
			t.Errorf("%s: %s", params, reply)
		}
	}
	block := bytes.Repeat([]byte("b"), 300)
	id := f.begin(`{"fileName":"a","fileSize":1000}`)
	for _, c := range []struct {
		name    string
		payload string
		code    int32
	}{
		{"nothing", "", 460}, {"short", "\x00", 460}, {"longer header than frame", "\xff\xff{}", 460}, {"not JSON", "\x00\x02xx\x00\x00", 6207},
		{"no id", frame("", 0, block, false), 460}, {"unknown", frame("none", 0, block, false), 78122},
		{"gap", frame(id, 300, block, false), 78119}, {"beyond", frame(id, 800, block, false), 78119}, {"small", frame(id, 0, block[:255], false), 78120},
		{"large", frame(id, 0, make([]byte, 128<<10+1), false), 78118}, {"first", frame(id, 0, block, false), 200}, {"again", frame(id, 0, block, false), 200},
		{"other data", frame(id, 0, bytes.Repeat([]byte("c"), 300), false), 78119}, {"overlap", frame(id, 100, block, false), 78119},
		{"middle that says last", frame(id, 0, block, true), 200},
	} {
		code, reply := f.ask("send", c.payload)
		if code != c.code || reply == "" {
			t.Errorf("%s: %s, want %d", c.name, reply, c.code)
		}
		if c.code != 200 && c.code != 460 && c.code != 6207 && !strings.Contains(reply, `"bSize":`) {
			t.Errorf("%s: %s repeats nothing", c.name, reply)
		}
	}
	if got := f.file("a"); got != string(block) {
		t.Errorf("isComplete before the announced size: %d bytes", len(got))
	}
	if code, _ := f.ask("init", `{"id":"1","params":{"fileName":"a","conflictStrategy":"reject"}}`); code != 78123 {
		t.Errorf("reject: %d", code)
	}
	id = f.begin(`{"fileName":"a","fileSize":300,"ficMode":"crc64","ficValue":"0000000000000001"}`)
	for range 2 {
		if code, reply := f.ask("send", frame(id, 0, block, false)); code != 78125 {
			t.Errorf("wrong checksum: %s", reply)
		}
	}
	if keys := f.bucket.Keys(); len(keys) != 1 {
		t.Errorf("objects left: %v", keys)
	}
	for _, cause := range []refusal.Cause{
		refusal.FileNameInvalid, refusal.FileTooLarge, refusal.FileBlockSize, refusal.FileOffset, refusal.FileUploadUnknown, refusal.FileExists, refusal.FileDamaged,
	} {
		if !f.seen[cause] {
			t.Errorf("nothing was logged as %s", cause)
		}
	}
}

// Blocks whose answers, or whose writes' answers, are lost are stored once, whatever is tried again.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	f := setUp(t, 0)
	random := rand.New(rand.NewPCG(3, 4))
	lose := func(string, string) error {
		if random.IntN(3) == 0 {
			return iot.Errorf(iot.Unavailable, "lost")
		}
		return nil
	}
	f.bucket.Lost, f.bucket.Fault = lose, lose
	f.store.Fault = func(string, iot.DeviceRef) error { return lose("", "") }
	persist := func(verb, payload, messageID string) string {
		for range 500 {
			if r, reply := f.serve(verb, payload, messageID); !r.Retry {
				return reply
			}
		}
		t.Fatal("no end of trying")
		return ""
	}
	want := ""
	for round, strategy := range []string{"overwrite", "append", "overwrite"} {
		content := make([]byte, 5000)
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		offset := 0
		if strategy == "append" {
			content, offset = append([]byte(want), content...), len(want)
		}
		want = string(content)
		init := fmt.Sprintf(`{"id":"1","params":{"fileName":"log.bin","fileSize":%d,"conflictStrategy":"%s","ficMode":"crc64","ficValue":"%016x"}}`,
			len(want), strategy, crc64.Checksum(content, crc64.MakeTable(crc64.ECMA)))
		reply := persist("init", init, fmt.Sprint("init", round))
		if strategy == "append" && !strings.Contains(reply, fmt.Sprintf(`"offset":%d,`, offset)) {
			t.Errorf("append: %s", reply)
		}
		_, rest, _ := strings.Cut(reply, `"uploadId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		for offset < len(want) {
			n := min(1024, len(want)-offset)
			reply = persist("send", frame(id, int64(offset), content[offset:offset+n], false), fmt.Sprint("send", round, offset))
			if !strings.HasPrefix(reply, `{"code":200,`) {
				t.Fatalf("send at %d: %s", offset, reply)
			}
			offset += n
		}
		if !strings.Contains(reply, `"complete":true`) {
			t.Errorf("last block: %s", reply)
		}
		f.bucket.Lost, f.bucket.Fault, f.store.Fault = nil, nil, nil
		if got := f.file("log.bin"); got != want {
			t.Errorf("round %d: the file has %d bytes, want %d", round, len(got), len(want))
		}
		if keys := f.bucket.Keys(); len(keys) != 1 {
			t.Errorf("objects left: %v", keys)
		}
		f.bucket.Lost, f.bucket.Fault = lose, lose
		f.store.Fault = func(string, iot.DeviceRef) error { return lose("", "") }
	}
}

func TestResumeAndExpiry(t *testing.T) {
	t.Parallel()
	f := setUp(t, 0)
	block := bytes.Repeat([]byte("b"), 256)
	const init = `{"id":"1","params":{"fileName":"a","fileSize":512,"initUid":"boot1"}}`
	id := f.begin(`{"fileName":"a","fileSize":512,"initUid":"boot1"}`)
	if code, reply := f.ask("send", frame(id, 0, block, false)); code != 200 {
		t.Fatal(reply)
	}
	if _, reply := f.ask("init", init); !strings.Contains(reply, `"uploadId":"`+id+`","offset":256,`) {
		t.Errorf("resume: %s", reply)
	}
	f.now = f.now.Add(24 * time.Hour)
	if code, reply := f.ask("send", frame(id, 256, block, false)); code != 78122 {
		t.Errorf("after a day: %s", reply)
	}
	if _, reply := f.ask("init", init); strings.Contains(reply, "offset") || !strings.Contains(reply, `"code":200`) {
		t.Errorf("begun anew: %s", reply)
	}
	if keys := f.bucket.Keys(); len(keys) != 0 {
		t.Errorf("what has expired is still there: %v", keys)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := setUp(t, 2000)
	var ids []string
	for i := range 9 {
		f.now = f.now.Add(time.Second)
		ids = append(ids, f.begin(fmt.Sprintf(`{"fileName":"f%d","fileSize":1000}`, i)))
	}
	block := make([]byte, 1000)
	if code, _ := f.ask("send", frame(ids[0], 0, block, false)); code != 78122 {
		t.Errorf("the oldest of nine: %d", code)
	}
	for _, id := range ids[1:3] {
		if code, reply := f.ask("send", frame(id, 0, block, false)); code != 200 {
			t.Errorf("send: %s", reply)
		}
	}
	for _, id := range ids[3:] {
		if code, reply := f.ask("cancel", `{"id":"1","params":{"uploadId":"`+id+`"}}`); code != 200 {
			t.Errorf("cancel: %s", reply)
		}
	}
	f.now = f.now.Add(2 * time.Minute)
	if code, _ := f.ask("init", `{"id":"1","params":{"fileName":"more","fileSize":1000}}`); code != 78127 {
		t.Errorf("over the quota: %d", code)
	}
	if !f.seen[refusal.FileStorageFull] {
		t.Errorf("logged as %v", f.seen)
	}
	list, err := f.store.Files().List(t.Context(), dev)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if err := f.service.Delete(t.Context(), list[0]); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(2 * time.Minute)
	if code, reply := f.ask("init", `{"id":"1","params":{"fileName":"more","fileSize":1000}}`); code != 200 {
		t.Errorf("after a delete: %s", reply)
	}
}

// A frame that is taken has the bytes that its header says, and they are those of the payload.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		frame("u7Fq2", 0, []byte("hello, relink"), true), "", "\x00\x00", "\x00\x02{}\x00\x00", "\xff\xff", "\x00\x01{", frame("", 1<<40, nil, false),
		"\x00\x37{'params':{'uploadId':'u','offset':'0','bSize':1,},\"id\":7}x\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		frame, err := fileupload.ParseFrame(payload)
		if err != nil {
			return
		}
		if frame.UploadID == "" || frame.Offset < 0 || frame.Size != int64(len(frame.Data)) || len(frame.Data)+4 > len(payload) || !bytes.HasSuffix(payload[:len(payload)-2], frame.Data) {
			t.Errorf("%q: %+v", payload, frame)
		}
	})
}

// A file whose upload broke off behind the file's row stays whole, whether the device cancels or a day passes.
func TestFileOutlivesBrokenFinish(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"cancel", "expiry"} {
		f := setUp(t, 0)
		data, want := bytes.Repeat([]byte("x"), 300), int64(300)
		id := f.begin(`{"fileName":"a.log","fileSize":300}`)
		f.store.Fault = func(op string, _ iot.DeviceRef) error {
			if op == "files.set_usage" {
				return iot.Errorf(iot.Unavailable, "no answer")
			}
			return nil
		}
		f.serve("send", frame(id, 0, data, true), "m")
		f.store.Fault = nil
		if how == "cancel" {
			if code, reply := f.ask("cancel", `{"id":"13","params":{"uploadId":"`+id+`"}}`); code != 78124 {
				t.Errorf("cancel: %s", reply)
			}
		} else {
			f.now = f.now.Add(25 * time.Hour)
			f.begin(`{"fileName":"b.log","fileSize":300}`)
			want += 300 // it is under way
		}
		if got := f.file("a.log"); got != string(data) {
			t.Errorf("%s: the file is %.20q", how, got)
		}
		if used, err := f.store.Files().TotalUsage(t.Context()); err != nil || used != want {
			t.Errorf("%s: %d bytes are used, %v", how, used, err)
		}
	}
}

// Of a device that is deleted no data stays, finished or not.
func TestForget(t *testing.T) {
	t.Parallel()
	f := setUp(t, 0)
	f.serve("send", frame(f.begin(`{"fileName":"a.log","fileSize":300}`), 0, bytes.Repeat([]byte("x"), 300), true), "m1")
	f.serve("send", frame(f.begin(`{"fileName":"b.log","fileSize":600}`), 0, bytes.Repeat([]byte("y"), 300), false), "m2")
	uploads, err := f.store.Files().ListUploads(t.Context(), dev)
	if err != nil || len(uploads) != 2 || f.file("a.log") == "<none>" {
		t.Fatal(uploads, err)
	}
	for range 2 {
		if err := f.service.Forget(t.Context(), dev); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range uploads {
		if _, err := f.bucket.Stat(t.Context(), u.Object); err == nil {
			t.Errorf("%s is still there", u.Name)
		}
	}
	if used, err := f.store.Files().TotalUsage(t.Context()); err != nil || used != 0 || f.file("a.log") != "<none>" {
		t.Errorf("%d bytes are used, %v", used, err)
	}
}

// What is under way counts towards the quota from its init on, and no longer when it has ended in whatever way.
func TestUnfinishedUploadsCount(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(t, 8<<20), t.Context()
	wants := func(what string, want int64) {
		t.Helper()
		if got, err := f.store.Files().TotalUsage(ctx); err != nil || got != want {
			t.Errorf("%s: %d bytes are used, want %d, %v", what, got, want, err)
		}
	}
	block := bytes.Repeat([]byte("x"), 300)
	whole := f.begin(`{"fileName":"whole","fileSize":300}`)
	broken := f.begin(`{"fileName":"broken","fileSize":300,"ficMode":"crc64","ficValue":"0000000000000001"}`)
	left := f.begin(`{"fileName":"left","fileSize":5000000}`)
	wants("begun", 5_000_600)
	f.begin(`{"fileName":"left","fileSize":5000000}`)
	f.now = f.now.Add(2 * time.Minute)
	if code, _ := f.ask("init", `{"id":"1","params":{"fileName":"more","fileSize":4000000}}`); code != 78127 {
		t.Errorf("over the quota with what is under way: %d", code)
	}
	f.ask("send", frame(whole, 0, block, true))
	if code, reply := f.ask("send", frame(broken, 0, block, true)); code != 78125 {
		t.Errorf("broken: %s", reply)
	}
	f.ask("cancel", `{"id":"1","params":{"uploadId":"`+left+`"}}`)
	wants("but for one upload all have ended", 5_000_300)
	f.now = f.now.Add(24 * time.Hour)
	stream := f.begin(`{"fileName":"stream","fileSize":-1}`)
	wants("an upload of unknown size", 300+(1<<20))
	large := make([]byte, 128<<10)
	for i := range 9 {
		if code, reply := f.ask("send", frame(stream, int64(i*len(large)), large, false)); code != 200 {
			t.Fatal(reply)
		}
	}
	wants("more of it", 300+(2<<20))
}
