package limits_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/shared/iot"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	b := limits.NewBudget(limits.BudgetOptions{Burst: 3, PerMinute: 6, MaxSources: 100, ExemptLoopback: true, Now: func() time.Time { return now }})
	a, same64, other64 := addr("203.0.113.1"), addr("2001:db8::1"), addr("2001:db8:0:1::1")
	for range 3 {
		if !b.Allows(a) {
			t.Fatal("refused within the budget")
		}
		b.Fail(a)
		b.Fail(same64)
		b.Fail(addr("127.0.0.1"))
	}
	for _, c := range []struct {
		addr netip.Addr
		want bool
	}{
		{a, false}, {addr("::ffff:203.0.113.1"), false}, {addr("203.0.113.2"), true}, {same64, false}, {addr("2001:db8::2"), false},
		{other64, true}, {addr("127.0.0.1"), true}, {netip.Addr{}, true},
	} {
		if got := b.Allows(c.addr); got != c.want {
			t.Errorf("Allows(%v) = %t, want %t", c.addr, got, c.want)
		}
	}
	now = now.Add(10 * time.Second) // forgives one
	if !b.Allows(a) {
		t.Error("not forgiven after ten seconds")
	}
	b.Fail(a)
	if b.Allows(a) {
		t.Error("forgiven twice")
	}
	now = now.Add(-24 * time.Hour) // a clock that jumps back forgives nothing and loses nothing
	if b.Allows(a) {
		t.Error("forgiven by a clock that went back")
	}
}

func TestBudgetIsBounded(t *testing.T) {
	t.Parallel()
	b := limits.NewBudget(limits.BudgetOptions{Burst: 2, PerMinute: 1, MaxSources: 50})
	for i := range 1000 {
		b.Fail(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	if got := b.Sources(); got != 50 {
		t.Errorf("%d sources are remembered, want 50", got)
	}
}

func TestOpenings(t *testing.T) {
	t.Parallel()
	o := limits.NewOpenings(3, 2, true)
	closed := map[int]bool{}
	enter := func(i int, a string) *limits.Opening { return o.Enter(addr(a), func() { closed[i] = true }) }
	one := enter(1, "10.0.0.1")
	enter(2, "10.0.0.1")
	if enter(3, "10.0.0.1") != nil {
		t.Error("a third connection of one address was let in")
	}
	enter(4, "127.0.0.1")
	enter(5, "127.0.0.1") // the oldest makes room
	if !closed[1] || closed[2] || o.Len() != 3 {
		t.Errorf("closed %v, %d left", closed, o.Len())
	}
	o.Leave(one) // twice, in effect
	six := enter(6, "127.0.0.1")
	if !closed[2] || closed[4] {
		t.Errorf("closed %v", closed)
	}
	o.Leave(six)
	o.Leave(six)
	if o.Len() != 2 {
		t.Errorf("%d left, want 2", o.Len())
	}
	if enter(7, "10.0.0.1") == nil {
		t.Error("an address whose connections are gone was refused")
	}
}

func TestConnects(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	c := limits.NewConnects(5, 5, 10, func() time.Time { return now })
	one, other := iot.DeviceRef{ProductKey: "p", DeviceName: "1"}, iot.DeviceRef{ProductKey: "p", DeviceName: "2"}
	for range 5 {
		if !c.Take(one) {
			t.Fatal("refused within the limit")
		}
	}
	if c.Take(one) || !c.Take(other) {
		t.Error("want the sixth refused, and another device let in")
	}
	now = now.Add(12 * time.Second)
	if !c.Take(one) {
		t.Error("not let in after twelve seconds")
	}
	if c.Take(one) {
		t.Error("let in twice after twelve seconds")
	}
	c.GiveBack(one) // it was not granted
	if !c.Take(one) {
		t.Error("an attempt that was given back counts")
	}
	none := limits.NewConnects(0, 0, 0, nil)
	if none.GiveBack(one); !none.Take(one) {
		t.Error("refused without a limit")
	}
}

// Attempts that are under way together count together.
func TestConnectsAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := limits.NewConnects(5, 1, 10, nil)
	var taken atomic.Int32
	var attempts sync.WaitGroup
	for range 100 {
		attempts.Go(func() {
			if c.Take(iot.DeviceRef{ProductKey: "p", DeviceName: "1"}) {
				taken.Add(1)
			}
		})
	}
	attempts.Wait()
	if got := taken.Load(); got != 5 {
		t.Errorf("%d of 100 attempts were let in, want 5", got)
	}
}

func TestOpeningsOfIPv6AndClose(t *testing.T) {
	t.Parallel()
	o := limits.NewOpenings(100, 2, true)
	closed := 0
	enter := func(a string) *limits.Opening { return o.Enter(addr(a), func() { closed++ }) }
	one, two := enter("2001:db8::1"), enter("2001:db8::2")
	if one == nil || two == nil || enter("2001:db8::3") != nil || enter("2001:db8:0:1::1") == nil || enter("::1") == nil {
		t.Error("want the connections of a /64 to count together, and no others")
	}
	o.Leave(one)
	o.Close()
	if closed != 3 || o.Len() != 0 || enter("203.0.113.1") != nil {
		t.Errorf("%d closed, %d left", closed, o.Len())
	}
	o.Leave(two)
}
