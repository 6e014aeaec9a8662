package rlp_test

import (
	"errors"
	"fmt"

	"parley/rlp"
)

func Example() {
	type Status struct {
		Version uint32
		Network uint64
		Genesis [4]byte
		Next    uint64 `rlp:"optional"`
	}
	enc, err := rlp.Encode(&Status{Version: 69, Network: 1, Genesis: [4]byte{0xd4, 0xe5, 0x67, 0x40}})
	fmt.Printf("%x %v\n", enc, err)

	var s Status
	err = rlp.Decode(enc, &s)
	fmt.Println(s, err)

	err = rlp.Decode([]byte{0xc2, 69, 0x00}, &s)
	fmt.Println(err)
	fmt.Println(errors.Is(err, rlp.ErrCanonical))
	// Output:
	// c7450184d4e56740 <nil>
	// {69 1 [212 229 103 64] 0} <nil>
	// rlp: decode Status.Network: not canonical: integer begins with zeros
	// true
}

// The writers need the size of a list before its items. The Size functions tell
// it without encoding anything.
func ExampleAppendList() {
	key, port := "udp", uint64(30303)

	b := rlp.AppendList(nil, rlp.StringSize(key)+rlp.UintSize(port))
	b = rlp.AppendString(b, key)
	b = rlp.AppendUint(b, port)
	fmt.Printf("%x\n", b)
	// Output: c78375647082765f
}

func ExampleCursor() {
	c := rlp.NewCursor([]byte{0xc7, 0x83, 'u', 'd', 'p', 0x82, 0x76, 0x5f})
	pair, err := c.List()
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := pair.Bytes()
	fmt.Printf("%s %v\n", key, err)
	port, err := pair.Uint(16)
	fmt.Println(port, err)
	fmt.Println(pair.End(), c.End())
	// Output:
	// udp <nil>
	// 30303 <nil>
	// <nil> <nil>
}

// A tail takes what a newer version of a message adds.
func ExampleRaw() {
	type Ping struct {
		Version    uint
		Expiration uint64
		Seq        uint64    `rlp:"optional"`
		Rest       []rlp.Raw `rlp:"tail"`
	}
	var p Ping
	fmt.Println(rlp.Decode([]byte{0xc2, 4, 100}, &p), p.Seq, len(p.Rest))
	fmt.Println(rlp.Decode([]byte{0xc6, 4, 100, 7, 0xc1, 1, 2}, &p), p.Seq, p.Rest)
	// Output:
	// <nil> 0 0
	// <nil> 7 [[193 1] [2]]
}

// A Version is written as one string, by methods of its own.
type Version struct{ Major, Minor uint8 }

func (v Version) AppendRLP(b []byte) ([]byte, error) {
	return rlp.AppendBytes(b, []byte{v.Major, v.Minor}), nil
}

func (v *Version) DecodeRLP(c *rlp.Cursor) error {
	var both [2]byte
	if err := c.Fixed(both[:]); err != nil {
		return err
	}
	*v = Version{both[0], both[1]}
	return nil
}

func ExampleAppender() {
	enc, err := rlp.Encode([]Version{{1, 2}, {3, 4}})
	fmt.Printf("%x %v\n", enc, err)

	var vs []Version
	err = rlp.Decode(enc, &vs)
	fmt.Println(vs, err)
	// Output:
	// c6820102820304 <nil>
	// [{1 2} {3 4}] <nil>
}
