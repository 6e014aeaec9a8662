package eth

import (
	"fmt"
	"math/big"

	"parley/rlp"
)

// A Status is the first message of either side: which chain, which forks, which
// blocks. https://github.com/ethereum/devp2p/blob/master/caps/eth.md#status-0x00
type Status struct {
	Version uint
	Network uint64
	Genesis Hash
	ForkID  ForkID

	// Range is what can be served. In eth/68 only its LatestHash is on the wire.
	Range BlockRange

	// TotalDifficulty is on the wire in eth/68 only. Nil means 0.
	TotalDifficulty *big.Int
}

// maxStatus bounds the Status message in bytes. The largest possible has 126.
const maxStatus = 512

// maxDifficulty bounds the total difficulty in bits.
const maxDifficulty = 256

// AppendRLP appends the message in the form of s.Version: before eth/69
//
//	[version, network, total difficulty, latest hash, genesis, fork id]
//
// and since
//
//	[version, network, genesis, fork id, earliest, latest, latest hash]
func (s *Status) AppendRLP(b []byte) ([]byte, error) {
	old := s.Version < 69
	td := s.TotalDifficulty
	if td == nil {
		td = new(big.Int)
	}
	size := rlp.UintSize(uint64(s.Version)) + rlp.UintSize(s.Network) + 33 + s.ForkID.size()
	if old {
		size += rlp.BigIntSize(td) + 33
	} else {
		size += s.Range.itemsSize()
	}
	b = rlp.AppendList(b, size)
	b = rlp.AppendUint(b, uint64(s.Version))
	b = rlp.AppendUint(b, s.Network)
	if old {
		var err error
		if b, err = rlp.AppendBigInt(b, td); err != nil {
			return b, fmt.Errorf("eth: encode status: total difficulty: %w", err)
		}
		b = rlp.AppendBytes(b, s.Range.LatestHash[:])
		b = rlp.AppendBytes(b, s.Genesis[:])
		return s.ForkID.append(b), nil
	}
	b = rlp.AppendBytes(b, s.Genesis[:])
	b = s.ForkID.append(b)
	return s.Range.appendItems(b), nil
}

// ParseStatus reads a Status message in the form of the given version. The
// version that stands in the message may be another; whether it, and everything
// else, makes sense is not checked.
func ParseStatus(version uint, payload []byte) (*Status, error) {
	if len(payload) > maxStatus {
		return nil, &about{"Status", fmt.Errorf("%w: %d bytes, at most %d", ErrMessageSize, len(payload), maxStatus)}
	}
	s := new(Status)
	if err := s.read(version, payload); err != nil {
		return nil, &about{"Status", err}
	}
	return s, nil
}

func (s *Status) read(form uint, payload []byte) error {
	c := rlp.NewCursor(payload)
	list, err := c.List()
	if err != nil {
		return err
	}
	if err := c.End(); err != nil {
		return err
	}
	version, err := list.Uint(32)
	if err != nil {
		return fmt.Errorf("version: %w", err)
	}
	s.Version = uint(version)
	if s.Network, err = list.Uint64(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if form < 69 {
		if s.TotalDifficulty, err = list.BigInt(); err != nil {
			return fmt.Errorf("total difficulty: %w", err)
		}
		if s.TotalDifficulty.BitLen() > maxDifficulty {
			return fmt.Errorf("total difficulty: %w", rlp.ErrTooLarge)
		}
		if err := list.Fixed(s.Range.LatestHash[:]); err != nil {
			return fmt.Errorf("latest hash: %w", err)
		}
	}
	if err := list.Fixed(s.Genesis[:]); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if err := s.ForkID.DecodeRLP(&list); err != nil {
		return fmt.Errorf("fork id: %w", err)
	}
	if form >= 69 {
		if err := s.Range.readItems(&list); err != nil {
			return err
		}
	}
	return list.End()
}
