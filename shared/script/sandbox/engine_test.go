package sandbox

import (
	"os"
	"testing"
)

// BenchmarkEngine is what a call costs without the way to the child and back.
func BenchmarkEngine(b *testing.B) {
	source, err := os.ReadFile("../testdata/golden.js")
	if err != nil {
		b.Fatal(err)
	}
	program, err := compile(string(source))
	if err != nil {
		b.Fatal(err)
	}
	e := newEngine(DefaultSteps, DefaultMemory)
	b.ReportAllocs()
	for b.Loop() {
		if _, f := e.run(program, RawDataToProtocol, "", []byte{0, 0, 0, 0, 101, 9, 131, 1}); f != nil {
			b.Fatal(f)
		}
	}
}
