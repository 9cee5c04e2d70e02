package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/fc"
	"relink/shared/record"
)

// TestServiceErrors: throttling, lost responses and what else is no fault of the function is retried, with growing pauses, and each record is
// decided once.
func TestServiceErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
	}{
		{"throttled", throttled()},
		{"lost_response", lost()},
		{"unavailable", &fc.Error{Status: 503, Code: "ServiceUnavailable"}},
		{"function_not_there_yet", &fc.Error{Status: 404, Code: "FunctionNotFound"}},
		{"unclassified", errors.New("no idea")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stored := make(map[string]int)
				fn := &fakeFunction{takes: time.Millisecond, script: func(call int, b record.Batch) ([]record.Result, error) {
					for _, r := range b.Records {
						stored[r.MessageID]++
					}
					if call < 5 {
						return nil, c.err
					}
					return ok(b), nil
				}}
				b := start(t, fn, Lane{}, nil)
				begin := time.Now()
				for i := range 10 {
					b.post(i%3, fmt.Sprintf("r%d", i))
				}
				b.drain(30 * time.Second)
				for i := range 10 {
					b.wantCode(fmt.Sprintf("r%d", i), 200)
				}
				if got := fn.count(); got > 7 {
					t.Errorf("%d invocations", got)
				}
				if took := time.Since(begin); took < 700*time.Millisecond || took > 2*time.Second {
					t.Errorf("five failures cost %v", took)
				}
				if len(b.letters.kept) != 0 {
					t.Error("dead letters of a service error")
				}
				last := fn.calls[len(fn.calls)-1].Records[0]
				if last.MessageID == "r0" && last.Attempt != 5 {
					t.Errorf("attempt %d of the sixth", last.Attempt)
				}
			})
		})
	}
}

func TestUndecidedAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{script: func(int, record.Batch) ([]record.Result, error) { return nil, throttled() }}
		b := start(t, fn, Lane{}, nil)
		begin := time.Now()
		b.post(1, "a")
		synctest.Wait()
		b.post(2, "b") // waits in the queue all the time or shares the retries
		b.drain(2 * time.Minute)
		for _, name := range []string{"a", "b"} {
			o := b.decided(name)
			if !errors.Is(o.err, ErrUndecided) {
				t.Errorf("%s: %v", name, o.err)
			}
			if took := o.at.Sub(begin); took < time.Minute || took > 66*time.Second {
				t.Errorf("%s given up after %v", name, took)
			}
		}
		if e, ok := errors.AsType[*fc.Error](b.decided("a").err); !ok || !e.Throttled() {
			t.Error("the error does not tell the cause")
		}
		if n := fn.count(); n < 10 || n > 60 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// TestHangingInvocation: an attempt is cut off, and the next one has time.
func TestHangingInvocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Hour}
		b := start(t, fn, Lane{}, nil)
		begin := time.Now()
		b.post(1, "a")
		b.drain(2 * time.Minute)
		if o := b.decided("a"); !errors.Is(o.err, ErrUndecided) || o.at.Sub(begin) != time.Minute {
			t.Errorf("%v after %v", o.err, o.at.Sub(begin))
		}
		if fn.count() != 2 {
			t.Errorf("%d attempts", fn.count())
		}
	})
}

// TestRetryResult: what the function could not decide is tried again, is not overtaken by its own device, and holds up nobody else.
func TestRetryResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, script: func(call int, b record.Batch) ([]record.Result, error) {
			results := ok(b)
			for i, r := range b.Records {
				if r.MessageID == "slow1" && r.Attempt < 4 {
					results[i] = record.Result{Retry: true, Code: 429}
				}
			}
			return results, nil
		}}
		b := start(t, fn, Lane{}, nil)
		b.post(1, "slow1")
		synctest.Wait()
		for i := range 5 {
			b.post(1, fmt.Sprintf("slow%d", i+2))
			b.post(2, fmt.Sprintf("fast%d", i))
		}
		b.drain(time.Minute)
		want := []string{"fast0", "fast1", "fast2", "fast3", "fast4", "slow1", "slow2", "slow3", "slow4", "slow5", "slow6"}
		if !slices.Equal(b.order, want) {
			t.Errorf("order %v", b.order)
		}
		if s := b.Snapshot()["property"]; s.Retries != 4 {
			t.Errorf("%d retries", s.Retries)
		}
	})
}

func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func() ([]record.Result, error)
	}{
		{"panic", func() ([]record.Result, error) { return nil, panicked() }},
		{"exit", func() ([]record.Result, error) { return nil, exitedEarly() }},
		{"too_few_results", func() ([]record.Result, error) { return nil, nil }},
		{"too_large", func() ([]record.Result, error) { return nil, &fc.Error{Status: 400, Code: "EntityTooLarge"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
					if has(b, "poison") {
						return c.fail()
					}
					return ok(b), nil
				}}
				b := start(t, fn, Lane{}, nil)
				b.post(1000, "first")
				synctest.Wait()
				for i := range 300 {
					switch i {
					case 77:
						b.post(77, "poison-a")
					case 200:
						b.post(3, "poison-b")
					}
					b.post(i%100, fmt.Sprintf("good%d", i))
				}
				b.drain(time.Minute)
				for i := range 300 {
					b.wantCode(fmt.Sprintf("good%d", i), 200)
				}
				for _, name := range []string{"poison-a", "poison-b"} {
					b.wantCode(name, CodeDeadLetter)
					if o := b.decided(name); o.result.Reason != ReasonDeadLetter {
						t.Errorf("reason %q", o.result.Reason)
					}
				}
				if len(b.letters.kept) != 2 {
					t.Fatalf("%d dead letters", len(b.letters.kept))
				}
				for _, l := range b.letters.kept {
					if l.Function != "property" || l.Ref.IsZero() || l.Topic != "/t" || l.MessageID != string(l.Payload) || l.Reason == "" || l.At == 0 {
						t.Errorf("dead letter %+v", l)
					}
				}
				if n := fn.count(); n > 60 {
					t.Errorf("%d invocations to find two", n)
				}
				// Of one device, nothing passed the poisonous record.
				if slices.Index(b.order, "good203") < slices.Index(b.order, "poison-b") {
					t.Error("a record overtook one of its own device")
				}
				if slices.Index(b.order, "good204") > slices.Index(b.order, "poison-b") {
					t.Error("another device waited for the poisonous record")
				}
			})
		})
	}
}

// TestExitedOnce: an instance that was killed under a good batch costs one more attempt, and nothing is halved.
func TestExitedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, script: func(call int, b record.Batch) ([]record.Result, error) {
			if call == 1 {
				return nil, exitedEarly()
			}
			return ok(b), nil
		}}
		b := start(t, fn, Lane{}, nil)
		b.post(0, "first")
		synctest.Wait()
		for i := range 50 {
			b.post(i, fmt.Sprintf("r%d", i))
		}
		b.drain(time.Minute)
		if got := fn.sizes(); !slices.Equal(got, []int{1, 50, 50}) {
			t.Errorf("batches of %v", got)
		}
		b.wantCode("r49", 200)
	})
}

// TestLoneCrashIsNoPoison: a record that fails alone, but not again and again, is stored like any other.
func TestLoneCrashIsNoPoison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{script: func(_ int, b record.Batch) ([]record.Result, error) {
			if has(b, "unlucky") && b.Records[0].Attempt < condemnAfter-1 {
				return nil, exitedEarly()
			}
			return ok(b), nil
		}}
		b := start(t, fn, Lane{}, nil)
		b.post(1, "unlucky")
		b.post(2, "lucky")
		b.drain(time.Minute)
		b.wantCode("unlucky", 200)
		if len(b.letters.kept) != 0 {
			t.Error("dead letter of a good record")
		}
	})
}

// TestBrokenFunction: a function that fails on everything makes no dead letters, and is not hammered.
func TestBrokenFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := false
		fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
			if broken {
				return nil, panicked()
			}
			return ok(b), nil
		}}
		b := start(t, fn, Lane{}, nil)
		b.post(0, "before") // it worked a moment ago
		time.Sleep(time.Second)
		b.wantCode("before", 200)
		broken = true
		for i := range 200 {
			b.post(i, fmt.Sprintf("r%d", i))
		}
		b.drain(2 * time.Minute)
		undecided := 0
		for i := range 200 {
			if errors.Is(b.decided(fmt.Sprintf("r%d", i)).err, ErrUndecided) {
				undecided++
			}
		}
		if undecided != 200 || len(b.letters.kept) != 0 {
			t.Errorf("%d undecided, %d dead letters", undecided, len(b.letters.kept))
		}
		if n := fn.count(); n > 60 {
			t.Errorf("%d invocations of a broken function in a minute", n)
		}
	})
}

// TestBrokenFunctionIsMended: what waited is stored once the function works again.
func TestBrokenFunctionIsMended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
			if time.Since(begin) < 20*time.Second {
				return nil, panicked()
			}
			return ok(b), nil
		}}
		b := start(t, fn, Lane{}, nil)
		for i := range 200 {
			b.post(i%50, fmt.Sprintf("r%d", i))
		}
		b.drain(2 * time.Minute)
		for i := range 200 {
			b.wantCode(fmt.Sprintf("r%d", i), 200)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
		if len(b.letters.kept) != 0 {
			t.Error("dead letters")
		}
	})
}

// TestPoisonWithoutOtherTraffic: a function that worked a short while ago and fails on one record only is thought to work; a second
// record is not put aside on the same evidence.
func TestPoisonWithoutOtherTraffic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		pause time.Duration
		works bool
		want  int
	}{
		{"worked_recently", time.Minute, true, 1},
		{"worked_long_ago", time.Hour, true, 0},
		{"never_worked", 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fn := &fakeFunction{script: func(_ int, b record.Batch) ([]record.Result, error) {
					if has(b, "poison") {
						return nil, panicked()
					}
					return ok(b), nil
				}}
				b := start(t, fn, Lane{}, nil)
				if c.works {
					b.post(1, "good")
					synctest.Wait()
				}
				time.Sleep(c.pause)
				b.post(1, "poison1")
				time.Sleep(2 * time.Minute)
				b.post(1, "poison2")
				b.drain(2 * time.Minute)
				if len(b.letters.kept) != c.want {
					t.Errorf("%d dead letters, want %d", len(b.letters.kept), c.want)
				}
				if !errors.Is(b.decided("poison2").err, ErrUndecided) {
					t.Error("the second record was decided")
				}
			})
		})
	}
}

// TestDeadLetterNotStored: a record is answered as a dead letter only once that is durable.
func TestDeadLetterNotStored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fail int
		code int32
	}{{3, CodeDeadLetter}, {1000, 0}} {
		t.Run(fmt.Sprintf("%d_times", c.fail), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fn := &fakeFunction{script: func(_ int, b record.Batch) ([]record.Result, error) {
					if has(b, "poison") {
						return nil, panicked()
					}
					return ok(b), nil
				}}
				b := start(t, fn, Lane{}, nil)
				b.letters.fail = c.fail
				b.post(1, "good")
				synctest.Wait()
				b.post(1, "poison")
				b.drain(2 * time.Minute)
				if c.code != 0 {
					b.wantCode("poison", c.code)
				} else if o := b.decided("poison"); !errors.Is(o.err, ErrUndecided) {
					t.Errorf("outcome %+v", o)
				}
			})
		})
	}
}

// TestHangingRecord: a record under which the function hangs, past the time of an attempt, is singled out like one that it raises on,
// but not put aside: it may have been the network.
func TestHangingRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, hangs: "hang"}
		b := start(t, fn, Lane{}, func(o *Options) { o.InvokeTimeout = time.Second })
		b.post(1000, "first")
		synctest.Wait()
		for i := range 64 {
			if i == 20 {
				b.post(1001, "hang")
			}
			b.post(i, fmt.Sprintf("good%d", i))
		}
		b.drain(2 * time.Minute)
		for i := range 64 {
			b.wantCode(fmt.Sprintf("good%d", i), 200)
		}
		if o := b.decided("hang"); !errors.Is(o.err, ErrUndecided) {
			t.Errorf("outcome %+v", o)
		}
		if len(b.letters.kept) != 0 {
			t.Error("dead letter of a record without a proof")
		}
	})
}

// TestSuspectsTakeTurns: several poisonous records that nothing speaks against yet do not keep a good one from its turn.
func TestSuspectsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fn := &fakeFunction{takes: time.Millisecond, script: func(_ int, b record.Batch) ([]record.Result, error) {
			if has(b, "poison") {
				return nil, panicked()
			}
			return ok(b), nil
		}}
		b := start(t, fn, Lane{Deadline: 30 * time.Minute}, nil)
		for i := range 20 {
			b.post(i, fmt.Sprintf("poison%d", i))
		}
		time.Sleep(40 * time.Second)
		begin := time.Now()
		b.post(100, "good")
		// What is singled out after that success waits for the next one. A lane that pauses tries one record every five seconds.
		for i := range 40 {
			time.Sleep(30 * time.Second)
			b.post(101+i, fmt.Sprintf("more%d", i))
		}
		b.drain(15 * time.Minute)
		b.wantCode("good", 200)
		if waited := b.decided("good").at.Sub(begin); waited > 6*time.Second {
			t.Errorf("a good record waited %v", waited)
		}
		if n := len(b.letters.kept); n != 20 {
			t.Errorf("%d of 20 were put aside after the proof", n)
		}
	})
}
