package coap

import (
	"context"
	"sync"

	"relink/connector/download"
	"relink/shared/objects"
)

const (
	pieceBytes = 64 << 10 // that one read of the object storage gets; a multiple of every block
	maxWaiting = 256      // requests that wait for one piece
	maxInfos   = 1024     // objects that something is known of
	infoFor    = 60_000   // milliseconds: an object does not change, but it may be deleted
)

// files keeps pieces of objects, so that not every block is a read of the object storage, and many devices that fetch one firmware share
// the reads. It is bounded; the pieces that were not used longest go first. It is safe for concurrent use.
type files struct {
	source  download.Source
	max     int
	reading chan struct{}

	mu     sync.Mutex
	pieces map[pieceID]*piece
	recent piece // list of all that are there, most recently used first; itself no member
	bytes  int
	infos  map[string]knownInfo
}

type pieceID struct {
	key   string
	index int64
}

type knownInfo struct {
	objects.Info
	at int64 // Unix milliseconds
}

// A piece is there, or is being read for those who wait.
type piece struct {
	id         pieceID
	prev, next *piece
	there      bool
	data       []byte
	waiting    []*Exchange
}

func newFiles(source download.Source, max int) *files {
	f := &files{source: source, max: max, reading: make(chan struct{}, maxReads), pieces: make(map[pieceID]*piece), infos: make(map[string]knownInfo)}
	f.recent.prev, f.recent.next = &f.recent, &f.recent
	return f
}

// serve answers with the block that x asks for, at once or when it is read.
func (f *files) serve(s *Server, x *Exchange, key string) {
	id := pieceID{key, int64(x.block2.offset()) / pieceBytes}
	f.mu.Lock()
	info, known := f.infos[key]
	known = known && s.now().UnixMilli()-info.at < infoFor
	p := f.pieces[id]
	switch {
	case known && int64(x.block2.offset()) >= info.Size && info.Size > 0:
		f.mu.Unlock()
		s.sendPart(x, info.Info, nil, 0)
	case p != nil && p.there && known:
		f.touch(p)
		f.mu.Unlock()
		s.sendPart(x, info.Info, p.data, id.index*pieceBytes)
	case p != nil && !p.there:
		outcome := p.join(x)
		f.mu.Unlock()
		if outcome != countKinds {
			x.drop(outcome)
		}
	default:
		if p != nil { // what is known of its object is too old
			f.remove(p)
		}
		p = &piece{id: id, waiting: []*Exchange{x}}
		f.pieces[id] = p
		f.mu.Unlock()
		if !s.apart(f.reading, func(ctx context.Context) {
			got, data, err := f.read(ctx, id, info.Info, known)
			f.arrived(s, p, got, data, err)
		}) {
			for _, x := range f.abandon(p) {
				x.drop(countBusy)
			}
		}
	}
}

// join waits for the piece; countKinds: x does, else why not.
func (p *piece) join(x *Exchange) count {
	for _, w := range p.waiting {
		if w.peer == x.peer && w.mid == x.mid {
			return countAbsorbed
		}
	}
	if len(p.waiting) >= maxWaiting {
		return countBusy
	}
	p.waiting = append(p.waiting, x)
	return countKinds
}

// arrived answers all who wait.
func (f *files) arrived(s *Server, p *piece, info objects.Info, data []byte, err error) {
	if err != nil {
		for _, x := range f.abandon(p) {
			s.noDownload(x, err)
		}
		return
	}
	f.mu.Lock()
	waiting := p.waiting
	p.waiting, p.there, p.data = nil, true, data
	f.bytes += len(data)
	p.prev, p.next = &f.recent, f.recent.next
	p.prev.next, p.next.prev = p, p
	for f.bytes > f.max && f.recent.prev != p {
		f.remove(f.recent.prev)
	}
	if _, ok := f.infos[p.id.key]; !ok && len(f.infos) >= maxInfos {
		for key := range f.infos { // any one
			delete(f.infos, key)
			break
		}
	}
	f.infos[p.id.key] = knownInfo{info, s.now().UnixMilli()}
	f.mu.Unlock()
	for _, x := range waiting {
		s.sendPart(x, info, data, p.id.index*pieceBytes)
	}
}

// abandon forgets a piece that is not there, and gives those who waited for it.
func (f *files) abandon(p *piece) []*Exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pieces, p.id)
	waiting := p.waiting
	p.waiting = nil
	return waiting
}

func (f *files) touch(p *piece) {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = &f.recent, f.recent.next
	p.prev.next, p.next.prev = p, p
}

func (f *files) remove(p *piece) {
	p.prev.next, p.next.prev = p.next, p.prev
	delete(f.pieces, p.id)
	f.bytes -= len(p.data)
}
