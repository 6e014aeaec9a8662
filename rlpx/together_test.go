package rlpx

import (
	"bytes"
	"errors"
	"testing"

	"github.com/golang/snappy"
)

// Each connection gets the frame that it would seal alone, and one that cannot
// take part does not keep the others from it.
func TestSealer(t *testing.T) {
	block, err := Compress(nil, text(3000))
	if err != nil {
		t.Fatal(err)
	}
	var batch []Sealing
	var want [][]byte
	for i := range 9 {
		alone, _, _ := direct(nil)
		together, _, _ := direct(nil)
		code := uint64(0x7e + i)
		frame, err := (&Conn{snappy: i != 4, out: alone}).AppendCompressed([]byte("kept"), code, block)
		if (err == nil) == (i == 4) {
			t.Fatal(err)
		}
		want = append(want, frame)
		batch = append(batch, Sealing{Conn: &Conn{snappy: i != 4, out: together}, Code: code, Dst: []byte("kept")})
	}
	NewSealer().AppendCompressed(batch, block)
	for i, f := range batch {
		if (f.Err == nil) == (i == 4) || !bytes.Equal(f.Dst, want[i]) {
			t.Errorf("connection %d: %d bytes, %v; want %d", i, len(f.Dst), f.Err, len(want[i]))
		}
	}
	NewSealer().AppendCompressed(batch[:2], snappy.Encode(nil, make([]byte, 1<<24)))
	for i, f := range batch[:2] {
		if !errors.Is(f.Err, ErrTooLarge) || !bytes.Equal(f.Dst, want[i]) {
			t.Errorf("16 MiB, connection %d: %d bytes, %v", i, len(f.Dst), f.Err)
		}
	}
}
