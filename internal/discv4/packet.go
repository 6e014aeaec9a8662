package discv4

import (
	"parley/enode"
	"parley/internal/secp"
)

// Sizes of a packet, in bytes.
// https://github.com/ethereum/devp2p/blob/master/discv4.md#wire-protocol
const (
	// MaxSize is the most that a packet may have. A reader needs a buffer of one
	// byte more, or it takes the beginning of a longer packet for a whole one.
	MaxSize = 1280

	hashSize   = 32
	sigSize    = 65
	headerSize = hashSize + sigSize + 1
	minSize    = headerSize + 1 // the data is a list, so there is some
)

// A Kind is the type of a packet, the byte after the signature.
type Kind byte

// The kinds of packets.
const (
	KindPing Kind = 1 + iota
	KindPong
	KindFindNode
	KindNeighbors
	KindENRRequest
	KindENRResponse

	kinds = 1 + int(KindENRResponse)
)

// String returns the name of the kind in the specification.
func (k Kind) String() string {
	switch k {
	case KindPing:
		return "PING"
	case KindPong:
		return "PONG"
	case KindFindNode:
		return "FINDNODE"
	case KindNeighbors:
		return "NEIGHBORS"
	case KindENRRequest:
		return "ENRREQUEST"
	case KindENRResponse:
		return "ENRRESPONSE"
	}
	return "UNKNOWN"
}

// A Packet is one packet whose hash and signature are good. Whether it has
// expired, and whether anybody waits for it, is for the engine to say.
type Packet struct {
	Hash    [32]byte
	Key     enode.PublicKey // of the sender, from the signature
	ID      enode.ID        // of Key
	Size    int             // bytes on the wire
	Message Message
}

// Check tells whether data could be a packet of this protocol: its length is in
// range, its hash fits the rest and its kind is known. It costs one Keccak-256 and
// allocates nothing. The error is a [Drop].
func Check(data []byte) error {
	switch {
	case len(data) < minSize:
		return DropShort
	case len(data) > MaxSize:
		return DropLong
	case secp.Keccak256(data[hashSize:]) != [32]byte(data[:hashSize]):
		return DropHash
	}
	if k := Kind(data[headerSize-1]); k < KindPing || k > KindENRResponse {
		return DropKind
	}
	return nil
}

// Open checks a packet as [Check] does, recovers the key of its sender and parses
// its content. The result shares no memory with data. The error is a [Drop].
//
// It depends on nothing but data, so it may run anywhere.
func Open(data []byte) (*Packet, error) {
	if err := Check(data); err != nil {
		return nil, err
	}
	// The content is parsed first because that is cheap, and most of what is
	// malformed was never signed with care either.
	message, err := parse(Kind(data[headerSize-1]), data[headerSize:])
	if err != nil {
		return nil, DropContent
	}
	key, err := secp.Recover(secp.Keccak256(data[headerSize-1:]), secp.Signature(data[hashSize:hashSize+sigSize]))
	if err != nil {
		return nil, DropSignature
	}
	return &Packet{
		Hash:    [32]byte(data[:hashSize]),
		Key:     key,
		ID:      enode.PubkeyID(key),
		Size:    len(data),
		Message: message,
	}, nil
}

// Seal returns message as a signed packet, in a slice of its own, and the hash that
// the answer to it carries. The only error is that of a zero key or of a message
// that does not fit in MaxSize bytes, which no message of the engine does.
func Seal(key *enode.PrivateKey, message Message) (data []byte, hash [32]byte, err error) {
	size := headerSize + message.size()
	if size > MaxSize {
		return nil, hash, DropLong
	}
	data = make([]byte, headerSize, size)
	data[headerSize-1] = byte(message.Kind())
	data = message.appendTo(data)
	sig, err := key.Sign(secp.Keccak256(data[headerSize-1:]))
	if err != nil {
		return nil, hash, err
	}
	copy(data[hashSize:], sig[:])
	hash = secp.Keccak256(data[hashSize:])
	copy(data, hash[:])
	return data, hash, nil
}
