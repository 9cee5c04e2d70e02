package sandbox

import (
	"encoding/binary"
	"errors"
	"io"
)

// A frame is a length of four bytes, little endian, and so many bytes: fields, each with its length before it.
//
//	to the child    function, script id, source (empty if the child should know it), topic, input
//	from the child  status, output or message, steps, memory, line, column; numbers are varints
const maxFrame = 4 << 20

// Statuses of answers: a Kind, or one of these.
const (
	statusOK      byte = 0
	statusUnknown byte = 255 // the child does not have the script: send it
)

var errFrame = errors.New("sandbox: malformed frame")

func appendField(dst []byte, field []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(field))), field...)
}

func appendNumber(dst []byte, n int64) []byte {
	var b [binary.MaxVarintLen64]byte
	return appendField(dst, b[:binary.PutVarint(b[:], n)])
}

// begin leaves room for a frame's length.
func begin(dst []byte) []byte { return append(dst[:0], 0, 0, 0, 0) }

// end fills it in.
func end(frame []byte) []byte {
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// readFrame reads a frame into buffer, which grows.
func readFrame(r io.Reader, buffer []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return buffer, err
	}
	n := int(binary.LittleEndian.Uint32(head[:]))
	if n > maxFrame {
		return buffer, errFrame
	}
	if cap(buffer) < n {
		buffer = make([]byte, n)
	}
	buffer = buffer[:n]
	_, err := io.ReadFull(r, buffer)
	return buffer, err
}

// fields reads what a frame consists of. Everything is checked: the other side may have been taken over.
type fields struct {
	data []byte
	bad  bool
}

func (f *fields) next() []byte {
	n, size := binary.Uvarint(f.data)
	if size <= 0 || n > uint64(len(f.data)-size) {
		f.bad, f.data = true, nil
		return nil
	}
	field := f.data[size : size+int(n)]
	f.data = f.data[size+int(n):]
	return field
}

func (f *fields) number() int64 {
	field := f.next()
	n, size := binary.Varint(field)
	if size <= 0 || size != len(field) {
		f.bad = true
		return 0
	}
	return n
}

func (f *fields) byte() byte {
	field := f.next()
	if len(field) != 1 {
		f.bad = true
		return 0
	}
	return field[0]
}

// err tells whether everything was read, and was all there was.
func (f *fields) err() error {
	if f.bad || len(f.data) > 0 {
		return errFrame
	}
	return nil
}

func appendRequest(dst []byte, f Function, id, source, topic string, input []byte) []byte {
	dst = appendField(begin(dst), []byte{byte(f)})
	dst = appendField(dst, []byte(id))
	dst = appendField(dst, []byte(source))
	dst = appendField(dst, []byte(topic))
	return end(appendField(dst, input))
}

func appendAnswer(dst []byte, run Run, f *Failure) []byte {
	status, text, line, column := statusOK, run.Output, 0, 0
	if f != nil {
		status, text, line, column = byte(f.Kind), []byte(f.Message), f.Line, f.Column
	}
	dst = appendField(begin(dst), []byte{status})
	dst = appendField(dst, text)
	dst = appendNumber(dst, run.Steps)
	dst = appendNumber(dst, run.Memory)
	dst = appendNumber(dst, int64(line))
	return end(appendNumber(dst, int64(column)))
}

// parseAnswer reads an answer. unknown says that the child wants the source.
func parseAnswer(frame []byte) (run Run, failure *Failure, unknown bool, err error) {
	f := fields{data: frame}
	status := f.byte()
	text := append([]byte(nil), f.next()...)
	run = Run{Output: text, Steps: f.number(), Memory: f.number()}
	line, column := f.number(), f.number()
	if err := f.err(); err != nil {
		return Run{}, nil, false, err
	}
	switch {
	case status == statusOK:
		return run, nil, false, nil
	case status == statusUnknown:
		return Run{}, nil, true, nil
	case int(status) >= len(kindNames):
		return Run{}, nil, false, errFrame
	}
	return Run{}, &Failure{Kind: Kind(status), Message: cut(string(text)), Line: int(line), Column: int(column), Steps: run.Steps, Memory: run.Memory}, false, nil
}
