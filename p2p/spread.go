package p2p

import (
	"runtime"
	"sync"

	"parley/rlpx"
)

// crewSize is how many connections are sealed together: enough for every width
// that rlpx.Sealer has, few enough that those who write to one of them do not wait
// for long.
const crewSize = 16

// keptQueue is how much room of the queue is kept for the next broadcast.
const keptQueue = 256

// A spreader seals the messages of Broadcast and begins to write them. It works on
// its way through all connections that have some, so that the messages of a burst
// which come meanwhile go out together when their connection has its turn. Its
// goroutines live while there is work.
type spreader struct {
	sealer *rlpx.Sealer
	tasks  *sync.WaitGroup
	worker func()    // work; kept, so that starting it allocates less
	crews  sync.Pool // of *crew

	mu      sync.Mutex // guards the fields below
	queue   []*outbox  // with spread set: each is here, or in a crew, at most once
	head    int        // queue[:head] were taken
	workers int
}

func (s *spreader) init(tasks *sync.WaitGroup) {
	s.sealer, s.tasks = rlpx.NewSealer(), tasks
	s.worker = s.work
}

// add enters an outbox, whose spread was set by the caller.
func (s *spreader) add(o *outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head > 0 && len(s.queue) == cap(s.queue) { // make room instead of growing
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, o)
}

// begin sees to it that somebody works if there is something to do: one goroutine
// for each crew, on at most half of the processors.
func (s *spreader) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := (runtime.GOMAXPROCS(0) + 1) / 2
	for s.workers < most && (len(s.queue)-s.head) > s.workers*crewSize {
		s.workers++
		s.tasks.Go(s.worker)
	}
}

// next fills a crew with those who wait. If there are none the worker ends.
func (s *spreader) next(c *crew) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.n = copy(c.boxes[:], s.queue[s.head:])
	clear(s.queue[s.head : s.head+c.n])
	if s.head += c.n; s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	if c.n == 0 {
		s.workers--
		if cap(s.queue) > keptQueue {
			s.queue = nil
		}
	}
	return c.n > 0
}

func (s *spreader) work() {
	c, ok := s.crews.Get().(*crew)
	if !ok {
		c = new(crew)
		c.try.init()
	}
	defer s.crews.Put(c)
	for s.next(c) {
		c.seal(s.sealer)
		for _, o := range c.ready[:c.toSend] {
			o.trySend(&c.try)
		}
		clear(c.boxes[:])
		clear(c.ready[:])
	}
}

// A crew is a group of outboxes that are sealed together. Nobody else seals for
// more than one, and each is in one crew only, so that holding the mutexes of all
// cannot lock anybody out for good.
type crew struct {
	boxes [crewSize]*outbox
	n     int

	ready  [crewSize]*outbox // those to be written by us
	toSend int

	batch [crewSize]rlpx.Sealing
	whose [crewSize]*outbox
	try   attempt
}

// seal seals everything that the outboxes share, message by message, and takes
// those that nobody is writing.
func (c *crew) seal(sealer *rlpx.Sealer) {
	boxes := c.boxes[:c.n]
	for _, o := range boxes {
		o.mu.Lock()
	}
	for _, o := range boxes {
		for f := o.shared.first(); f != nil; f = o.shared.first() {
			c.sealOne(sealer, f.block)
		}
	}
	c.toSend = 0
	for _, o := range boxes {
		o.spread = false
		if o.frames > 0 && !o.writing && o.err == nil {
			o.writing = true
			c.ready[c.toSend] = o
			c.toSend++
		}
		if o.closing {
			o.room.Broadcast() // idle waits for this
		}
		o.mu.Unlock()
	}
}

// sealOne seals a block for all who have it next.
func (c *crew) sealOne(sealer *rlpx.Sealer, b *block) {
	n := 0
	for _, o := range c.boxes[:c.n] {
		if f := o.shared.first(); f != nil && f.block == b {
			o.pending = o.bufs.Grow(o.pending, rlpx.SealedSize(len(b.data)))
			c.batch[n] = rlpx.Sealing{Conn: o.conn, Code: f.code, Dst: o.pending}
			c.whose[n] = o
			n++
		}
	}
	b.use() // popping it must not give it back yet
	sealer.AppendCompressed(c.batch[:n], b.data)
	for i, o := range c.whose[:n] {
		o.tookShare(c.batch[i].Dst, c.batch[i].Err)
		c.batch[i], c.whose[i] = rlpx.Sealing{}, nil
	}
	b.release()
}

// share queues a block, of a payload of size bytes, without blocking. The spreader
// will seal it.
func (o *outbox) share(code uint64, b *block, size int, s *spreader) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.closing:
		return errClosing
	case !o.fits(size):
		return ErrQueueFull
	}
	o.shared.push(code, b)
	o.queued++
	if !o.spread {
		o.spread = true
		s.add(o)
	}
	return nil
}

// sealShared seals what is shared before something else follows. Caller holds mu.
func (o *outbox) sealShared() {
	for f := o.shared.first(); f != nil; f = o.shared.first() {
		o.pending = o.bufs.Grow(o.pending, rlpx.SealedSize(len(f.block.data)))
		o.tookShare(o.conn.AppendCompressed(o.pending, f.code, f.block.data))
	}
}

// tookShare notes that the first share was sealed behind pending. Caller holds mu.
func (o *outbox) tookShare(frames []byte, err error) {
	o.shared.pop()
	if err != nil { // not for a block of maxShared on a connection with Snappy
		o.lose(1, err)
		return
	}
	o.pending = frames
	o.frames++
}

// trySend writes what is pending as far as the system takes it at once; a flusher
// does the rest. The caller has set writing.
func (o *outbox) trySend(a *attempt) {
	o.mu.Lock()
	batch, frames := o.take()
	o.mu.Unlock()

	o.fd.armWrite(writeTimeout)
	n, err := o.fd.try(a, batch)

	o.mu.Lock()
	if err == nil && n < len(batch) {
		o.flusher.Go(func() { o.flushRest(batch, n, frames) })
		o.mu.Unlock()
		return
	}
	o.sent(batch, frames, err)
	if err == nil && o.frames > 0 { // somebody else's
		o.flusher.Go(o.flush)
		o.mu.Unlock()
		return
	}
	o.flushLocked(err)
}

// flushRest is flush for a batch of which n bytes are written already.
func (o *outbox) flushRest(batch []byte, n, frames int) {
	_, err := o.fd.Write(batch[n:])
	o.mu.Lock()
	o.sent(batch, frames, err)
	o.flushLocked(err)
}
