// Package rlp encodes and decodes Recursive Length Prefix items, the
// serialisation of Ethereum's protocols (yellow paper, appendix B).
//
// There are three ways to use it. The Append functions write items at the end of
// a byte slice. A [Cursor] reads them and allocates nothing. [Append], [Encode]
// and [Decode] do both for Go values, by reflection.
//
// Decoding is strict: each value has one encoding, the shortest, and any other
// input is an error. It is also bounded: lists nest no deeper than [MaxDepth], and
// Decode allocates no more than twice the input and 64 KiB, whatever the input
// and the type.
//
// # Go types
//
//	uint, uint8 … uint64, uintptr   integer; larger input is ErrTooLarge
//	big.Int, *big.Int               integer of any size, not negative
//	Uint256                         integer of up to 256 bits
//	bool                            integer 0 or 1
//	string, []byte, [N]byte         byte string; exactly N bytes for an array
//	[]T, [N]T                       list of T; exactly N items for an array
//	struct                          list of its exported fields in order
//	*T                              as T; nil is written as the empty item of T's kind
//	interface                       as the value in it; can be encoded, not decoded
//	Raw                             any one item, verbatim
//	Appender, Decoder               by their own methods
//
// Byte strings include slices and arrays of a named byte type. Signed integers,
// floats, maps, channels, functions and structs without any exported field are
// errors that wrap [ErrType] and name the type and the field.
//
// # Struct tags
//
//	rlp:"-"          the field is not part of the encoding and is not touched
//	rlp:"optional"   the list may end before this field, which is then zero; all
//	                 later fields must be optional or the tail. On encoding, zero
//	                 fields at the end of the list are left out; a slice that is
//	                 empty but not nil is not zero
//	rlp:"tail"       the last field, a slice, takes all remaining items of the list
//	rlp:"nil"        of a pointer: the empty item of its type's kind means nil
//	rlp:"nilString"  as nil, but the empty item is the empty byte string, 0x80
//	rlp:"nilList"    as nil, but the empty item is the empty list, 0xc0
package rlp
