package fc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Server is one region of Function Compute. It serves the API as an http.Handler; HTTP triggers have handlers
// of their own.
type Server struct {
	opt       Options
	log       *slog.Logger
	functions map[string]*function
	order     []*function // as given
	nonces    *nonces
	starter   *starter
	ports     ports
	queue     *queue
	metrics   *requestMetrics
	proxy     *http.Transport // to custom runtimes, for HTTP triggers
	faults    atomic.Pointer[Faults]

	ctx      context.Context // ends when instances are stopped
	cancel   context.CancelFunc
	hurryCtx context.Context // ends when Close has no more time
	hurryNow context.CancelFunc
	hurry    <-chan struct{} // hurryCtx.Done()

	lanes    context.Context // ends lanes and housekeeping
	endLanes context.CancelFunc
	loops    sync.WaitGroup // lanes and housekeeping

	gate     sync.RWMutex // orders closing after the work it lets in
	closing  atomic.Bool
	requests sync.WaitGroup // see run
}

// New starts the emulator: it opens the queue in Options.Dir, resumes the events that wait there, and starts the
// schedules. No instance is started before its first invocation.
func New(o Options) (*Server, error) {
	if o.AccessKeyID == "" || o.AccessKeySecret == "" {
		return nil, errors.New("fc: an access key pair is required")
	}
	def(&o.AccountID, "1000000000000000")
	def(&o.Region, "cn-hangzhou")
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{opt: o, log: o.Logger, functions: make(map[string]*function, len(o.Functions)), nonces: newNonces(o.Limits.Nonces)}
	for _, f := range o.Functions {
		if f.Name == "" || f.CodeDir == "" || f.Timeout <= 0 || f.InstanceConcurrency <= 0 || f.MemoryMB <= 0 || f.Custom() && len(f.Command) == 0 {
			return nil, fmt.Errorf("fc: function %q is incomplete", f.Name)
		}
		if s.functions[f.Name] != nil {
			return nil, fmt.Errorf("fc: function %s is declared twice", f.Name)
		}
		fn := newFunction(s, f)
		s.functions[f.Name] = fn
		s.order = append(s.order, fn)
	}
	var err error
	if s.queue, err = openQueue(o.Dir, o.Limits.AsyncBacklogBytes, s.log); err != nil {
		return nil, err
	}
	if err := s.resume(); err != nil {
		return nil, errors.Join(err, s.queue.close())
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hurryCtx, s.hurryNow = context.WithCancel(context.Background())
	s.hurry = s.hurryCtx.Done()
	s.lanes, s.endLanes = context.WithCancel(context.Background())
	s.starter = newStarter()
	s.metrics = newRequestMetrics(s.opt)
	s.proxy = newProxyTransport()
	for _, f := range s.order {
		s.loops.Go(func() { f.lane.run(s.lanes) })
	}
	timers := s.newTimers()
	s.loops.Go(func() { s.housekeeping(timers) })
	return s, nil
}

// resume gives stored events back to their functions.
func (s *Server) resume() error {
	events, err := s.queue.load()
	if err != nil {
		return fmt.Errorf("load asynchronous queue: %w", err)
	}
	for _, ev := range events {
		f := s.functions[ev.meta.Function]
		if f == nil {
			s.log.Error("asynchronous event dropped: its function has gone", "function", ev.meta.Function, "request_id", ev.meta.RequestID)
			if err := s.queue.remove(&ev); err != nil {
				return err
			}
			continue
		}
		f.lane.push(ev)
	}
	if len(events) > 0 {
		s.log.Info("asynchronous events resumed", "events", len(events))
	}
	return nil
}

// run does work that Close waits for, unless the server is closing. Work must not wait for the client: a connection that
// stalls must not keep Close from returning.
func (s *Server) run(work func() *apiError) *apiError {
	s.gate.RLock()
	if s.closing.Load() {
		s.gate.RUnlock()
		return errClosing
	}
	s.requests.Add(1)
	s.gate.RUnlock()
	defer s.requests.Done()
	return work()
}

// Close refuses new work, lets what runs finish for Limits.StopGrace, then stops every instance: preStop hook, SIGTERM,
// another grace, SIGKILL. When ctx ends first, instances are killed at once. It returns when no process is left.
func (s *Server) Close(ctx context.Context) error {
	s.gate.Lock()
	already := s.closing.Swap(true)
	s.gate.Unlock()
	if already {
		return errors.New("fc: already closed")
	}
	stop := context.AfterFunc(ctx, s.hurryNow)
	defer stop()

	s.endLanes()
	finished := make(chan struct{})
	go func() {
		s.requests.Wait()
		s.loops.Wait()
		close(finished)
	}()
	grace := time.NewTimer(s.opt.Limits.StopGrace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C:
	case <-ctx.Done():
	}
	s.cancel()
	var stopping sync.WaitGroup
	for _, f := range s.order {
		stopping.Go(f.close)
	}
	stopping.Wait()
	<-finished
	s.metrics.close()
	s.proxy.CloseIdleConnections()
	s.starter.close()
	s.hurryNow()
	return s.queue.close()
}

// housekeeping runs schedules, idle stops, memory checks and injected crashes.
func (s *Server) housekeeping(timers *timers) {
	next := make(map[string]time.Time)
	tick := time.NewTicker(s.opt.Limits.Tick)
	defer tick.Stop()
	memory := time.NewTicker(s.opt.Limits.MemoryCheck)
	defer memory.Stop()
	for {
		select {
		case <-s.lanes.Done():
			return
		case <-memory.C:
			for _, f := range s.order {
				for _, inst := range f.all() {
					inst.watchMemory()
				}
			}
		case <-tick.C:
			now := s.opt.Clock.Now()
			for _, f := range s.order {
				f.stopIdle(now.Add(-s.opt.Limits.IdleTimeout))
			}
			s.nonces.expire(now)
			timers.fire(now)
			s.crashes(time.Now(), next)
		}
	}
}

// ServeHTTP serves the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID(s.opt.Clock.Now())
	if e := s.serve(w, r, id); e != nil {
		writeError(w, id, e)
	}
}

const (
	maxHeaderBytes = 8 << 10 // names and values
	maxPathBytes   = 4 << 10 // with the query
	maxAPIBody     = 1 << 20 // of calls other than invocations
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request, id string) *apiError {
	if e := checkHead(r); e != nil {
		return e
	}
	op, args := route(r.Method, r.URL.EscapedPath())
	limit := maxAPIBody
	if op != nil && op.action == "InvokeFunction" {
		limit = s.opt.Limits.SyncBody
		if isAsync(r.Header) {
			limit = s.opt.Limits.AsyncBody
		}
	}
	auth, e := s.precheck(r)
	if e != nil {
		drain(r)
		return e
	}
	body, e := readBody(r, limit)
	if e != nil {
		return e
	}
	if e := s.verify(r, auth, *body); e != nil {
		putBuffer(body)
		return e
	}
	c := &call{s: s, w: w, r: r, id: id, args: args, body: body}
	defer c.done()
	switch {
	case op == nil:
		s.log.Warn("unknown operation", "method", r.Method, "path", r.URL.Path, "request_id", id)
		return errPath(r.Method, r.URL.Path)
	case op.handle == nil:
		s.log.Warn("operation not emulated", "operation", op.action, "request_id", id)
		return errPath(r.Method, r.URL.Path)
	}
	return op.handle(c)
}

func checkHead(r *http.Request) *apiError {
	if len(r.RequestURI) > maxPathBytes {
		return errInvalidArgument("path and query exceed %d bytes", maxPathBytes)
	}
	n := 0
	for k, vs := range r.Header {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	if n > maxHeaderBytes {
		return errInvalidArgument("headers exceed %d bytes", maxHeaderBytes)
	}
	return nil
}

// readBody reads at most limit bytes into a pooled buffer.
func readBody(r *http.Request, limit int) (*[]byte, *apiError) {
	if r.ContentLength > int64(limit) {
		drain(r)
		return nil, errTooLarge(limit)
	}
	if r.ContentLength >= 0 && r.ContentLength <= maxPooled {
		buf := getBuffer(int(r.ContentLength))
		*buf = (*buf)[:r.ContentLength]
		if _, err := io.ReadFull(r.Body, *buf); err != nil {
			putBuffer(buf)
			return nil, errInvalidArgument("the body is shorter than Content-Length")
		}
		return buf, nil
	}
	buf, err := readAll(r.Body, limit)
	switch {
	case errors.Is(err, errBodySize):
		drain(r)
		return nil, errTooLarge(limit)
	case err != nil:
		return nil, errInvalidArgument("the body cannot be read: %v", err)
	}
	return buf, nil
}

// drain reads a refused body, within reason, so that the client sees the answer and not a reset connection.
func drain(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 64<<20) // an error means that the body has ended or the client has gone
}
