package limits

// Rates are the messages a second that one device may send and be sent, and the bytes a second of one connection ("Limits", "Rate" in
// the device protocol). 0 is no limit. A sub-device counts for itself; the bytes are those of its gateway's connection.
type Rates struct {
	UpQoS0, UpQoS1 int // messages of the device
	Down           int // messages to it, replies not counted
	Bytes          int // read from its connection
}

// A Bucket holds what may be used at once: one second's worth, which comes back as time passes. The zero value is full. It is not safe
// for concurrent use, and it has no timer: it looks at the clock that it is given.
type Bucket struct {
	used int64 // thousandths of what is counted
	at   int64 // Unix milliseconds
}

// refill gives back what has come back since. A clock that goes back gives nothing.
func (b *Bucket) refill(now int64, perSecond int) {
	if passed := now - b.at; passed > 0 {
		b.used = max(0, b.used-passed*int64(perSecond)) // a thousandth a millisecond
	}
	b.at = now
}

// Take takes one if there is one; perSecond 0 is no limit.
func (b *Bucket) Take(now int64, perSecond int) bool {
	if perSecond <= 0 {
		return true
	}
	b.refill(now, perSecond)
	if b.used+1000 > int64(perSecond)*1000 {
		return false
	}
	b.used += 1000
	return true
}

// Spend takes n whether they are there or not, and answers for how many milliseconds nothing more may be taken.
func (b *Bucket) Spend(now int64, n, perSecond int) (wait int64) {
	if perSecond <= 0 {
		return 0
	}
	b.refill(now, perSecond)
	b.used += int64(n) * 1000
	return max(0, b.used/int64(perSecond)-1000)
}
