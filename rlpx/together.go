package rlpx

import (
	"sync"

	"parley/internal/keccak"
)

// A Sealing is one connection's part in Sealer.AppendCompressed.
type Sealing struct {
	Conn *Conn
	Code uint64
	Dst  []byte // the frame is appended to it, as AppendMsg does

	// Err is set by AppendCompressed: nil, or why nothing was sealed. Then Dst is
	// as it was, and the connection lives on.
	Err error
}

// A Sealer seals one payload for many connections. The MACs of several frames are
// computed side by side, if the processor can; the frames do not depend on it.
//
// Safe for concurrent use.
type Sealer struct {
	width int       // how many frames side by side
	idle  sync.Pool // of *table
}

// NewSealer returns a Sealer. One serves all connections of a server.
func NewSealer() *Sealer { return newSealer(keccak.Width()) }

func newSealer(width int) *Sealer { return &Sealer{width: width} }

// AppendCompressed does for each element of batch what Conn.AppendCompressed
// does, with the same bytes as outcome. No connection may occur twice, and nobody
// else may write to any of them meanwhile. It allocates nothing for a Dst with
// room for SealedSize(len(block)) more bytes.
func (s *Sealer) AppendCompressed(batch []Sealing, block []byte) {
	if s.width < 2 || len(batch) < 2 {
		for i := range batch {
			f := &batch[i]
			f.Dst, f.Err = f.Conn.AppendCompressed(f.Dst, f.Code, block)
		}
		return
	}
	t, ok := s.idle.Get().(*table)
	if !ok {
		t = &table{bank: keccak.NewBank(s.width), seats: make([]sealing, s.width)}
	}
	t.seal(batch, block)
	s.idle.Put(t)
}

// A table has a seat for each column of a Bank. A frame that is done makes room
// for the next one, so that frames of any lengths and hashes at any fill level
// go together.
type table struct {
	bank  *keccak.Bank
	seats []sealing // without a lane if empty
}

// seal seals a batch.
func (t *table) seal(batch []Sealing, block []byte) {
	for {
		busy := false
		for i := range t.seats {
			if t.bank.Free(i) {
				batch = t.serve(i, batch, block)
			}
			busy = busy || !t.bank.Free(i)
		}
		if !busy {
			return
		}
		t.bank.Advance()
	}
}

// serve gives a free column its next work: of the frame in its seat, or of the
// first one in batch that can be sealed. It returns the rest of batch.
func (t *table) serve(column int, batch []Sealing, block []byte) []Sealing {
	seat := &t.seats[column]
	for {
		if seat.lane != nil {
			if in := seat.next(); in != nil {
				t.bank.Start(column, &seat.lane.mac, in, &seat.lane.digest)
				return batch
			}
			*seat = sealing{}
		}
		if len(batch) == 0 {
			return nil
		}
		seat.take(&batch[0], block)
		batch = batch[1:]
	}
}

// take begins to seal a frame, or notes why it cannot be sealed.
func (s *sealing) take(f *Sealing, block []byte) {
	if f.Err = f.Conn.checkCompressed(f.Code, block); f.Err != nil {
		return
	}
	start := len(f.Dst)
	frame, size, err := layFrame(f.Dst, appendPlain(f.Dst, f.Code, block), f.Code)
	if err != nil {
		f.Err = err
		return
	}
	f.Dst = frame
	*s = sealing{lane: f.Conn.out, frame: frame[start:], size: size}
}
