package rlpx

// A Sealing is one connection's part in Sealer.AppendCompressed.
type Sealing struct {
	Conn *Conn
	Code uint64
	Dst  []byte // the frame is appended to it, as AppendMsg does

	// Err is set by AppendCompressed: nil, or why nothing was sealed. Then Dst is
	// as it was, and the connection lives on.
	Err error
}

// A Sealer seals one payload for many connections.
//
// Safe for concurrent use.
type Sealer struct{}

// NewSealer returns a Sealer. One serves all connections of a server.
func NewSealer() *Sealer { return new(Sealer) }

// AppendCompressed does for each element of batch what Conn.AppendCompressed
// does, with the same bytes as outcome. No connection may occur twice, and nobody
// else may write to any of them meanwhile. It allocates nothing for a Dst with
// room for SealedSize(len(block)) more bytes.
func (s *Sealer) AppendCompressed(batch []Sealing, block []byte) {
	for i := range batch {
		f := &batch[i]
		f.Dst, f.Err = f.Conn.AppendCompressed(f.Dst, f.Code, block)
	}
}
