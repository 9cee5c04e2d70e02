package coap

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	urls "relink/shared/download"
	"relink/shared/logs"
	"relink/shared/objects"
	"relink/shared/refusal"
)

const downloadPrefix = urls.Prefix

// amplification is how many times the bytes of a request a response to an address may have that anybody could have put on the datagram.
const amplification = 3

// overhead is what a block's response has besides the block: header, token, ETag, Block2, Size2, marker.
const overhead = 4 + 8 + 9 + 5 + 6 + 1

const readTimeout = 10 * time.Second

// download is GET of a URL that package download of shared has signed: the same path as at the connector's download door, block by block.
// Whoever knows the URL may read the object until it expires, so no token is asked for. GET changes nothing: nothing is remembered of it.
func (s *Server) download(x *Exchange, r *request) {
	if !x.shrink(r.size) {
		x.drop(countBusy)
		return
	}
	key, err := s.opts.URLs.Open(string(r.path))
	if err != nil {
		s.noDownload(x, err)
		return
	}
	s.files.serve(s, x, key)
}

// shrink bounds the blocks that the peer gets: an address that has not been verified gets none that are much larger than its request. It
// is a server's right to answer with smaller blocks than were asked for, with a number that means the same place (RFC 7959, 2.3).
func (x *Exchange) shrink(size int) bool {
	b := &x.block2
	if !b.present {
		*b = block{present: true, szx: maxSZX}
	}
	if x.peer.Transport.Verified() || x.srv.peers.verified(x.peer, x.srv.now().UnixMilli()) {
		return true
	}
	room := amplification*size - overhead
	for b.size() > room {
		if b.szx == 0 {
			return false
		}
		b.szx--
		b.num *= 2
	}
	return true
}

// noDownload refuses a download, or says that the object storage did not answer.
func (s *Server) noDownload(x *Exchange, err error) {
	cause := refusal.CauseOf(err)
	if cause == "" {
		cause = refusal.BackendUnavailable
	}
	s.opts.Meter.Refused(cause)
	if s.lines.Allow() {
		s.log.LogAttrs(s.ctx, slog.LevelInfo, "download refused", slog.String(logs.FieldReason, string(cause)), logs.Err(err),
			slog.String("remote", x.peer.Addr.String()), slog.Int("code", number(codeOf(cause))))
	}
	x.respondCode(codeOf(cause))
}

// sendPart answers with the block that is asked for; piece begins at offset begin of the object.
func (s *Server) sendPart(x *Exchange, info objects.Info, piece []byte, begin int64) {
	at := int64(x.block2.offset())
	if at > 0 && at >= info.Size {
		x.respondCode(codes.BadRequest)
		return
	}
	s.counts.downloaded.Add(uint64(min(int64(x.block2.size()), info.Size-at)))
	x.respondPart(codes.Content, piece[min(int(at-begin), len(piece)):], info.Size, info.CRC)
}

// read reads one piece, and what is known of its object unless that is known.
func (f *files) read(ctx context.Context, id pieceID, info objects.Info, known bool) (objects.Info, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if !known {
		var err error
		if info, err = f.source.Stat(ctx, id.key); err != nil {
			if errors.Is(err, objects.ErrNotFound) {
				err = refusal.New(refusal.DownloadMissing, id.key)
			}
			return info, nil, err
		}
	}
	begin := id.index * pieceBytes
	if begin >= info.Size {
		return info, nil, nil
	}
	n := int(min(pieceBytes, info.Size-begin))
	piece, err := f.source.Read(ctx, id.key, begin, n)
	if err == nil && len(piece) != n {
		err = errors.New("the object is shorter than it was")
	}
	return info, piece, err
}
