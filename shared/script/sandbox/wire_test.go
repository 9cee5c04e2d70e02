package sandbox

import (
	"container/list"
	"testing"
)

// FuzzAnswer: what a child sends is read without trust in it.
func FuzzAnswer(f *testing.F) {
	f.Add(appendAnswer(nil, Run{Output: []byte(`{}`), Steps: 5, Memory: 6}, nil)[4:])
	f.Add(appendAnswer(nil, Run{Steps: 5}, &Failure{Kind: Exception, Message: "x", Line: 3, Column: 4})[4:])
	f.Add([]byte{1, 200, 0, 1, 0})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		run, failure, unknown, err := parseAnswer(frame)
		if err != nil && (failure != nil || unknown || run.Output != nil) {
			t.Errorf("%+v %+v %v %v", run, failure, unknown, err)
		}
		if failure != nil && len(failure.Message) > maxMessage {
			t.Errorf("message of %d bytes", len(failure.Message))
		}
	})
}

// FuzzRequest: no frame makes a child fail.
func FuzzRequest(f *testing.F) {
	f.Add(appendRequest(nil, load, "a", "var x = 1", "", nil)[4:])
	f.Add(appendRequest(nil, RawDataToProtocol, "a", "", "", []byte{1})[4:])
	f.Add(appendRequest(nil, 200, "a", "", "", []byte{1})[4:])
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := server{engine: newEngine(10_000, 8<<20), programs: make(map[string]*list.Element), order: list.New()}
		out := s.serve(frame, nil)
		if _, _, _, err := parseAnswer(out[4:]); err != nil {
			t.Errorf("%q is answered %q: %v", frame, out, err)
		}
	})
}
