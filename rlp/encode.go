package rlp

import (
	"fmt"
	"math/big"
	"reflect"
)

// An Appender encodes itself. Append and Encode call AppendRLP, on the value or
// on a pointer to it, in place of the rules for its type, but not on a nil
// pointer. AppendRLP appends one item to b and returns the result; it must not
// keep b.
type Appender interface {
	AppendRLP(b []byte) ([]byte, error)
}

// Append appends the encoding of v to b. If v cannot be encoded, it returns b as
// given and an [*Error].
//
// Values are best given by pointer; any other value is copied first.
func Append(b []byte, v any) ([]byte, error) {
	rv, p, err := source(v)
	if err != nil {
		return b, err
	}
	out, err := p.append(b, rv, 0)
	if err != nil {
		return b, rooted("encode", rv.Type(), err)
	}
	return out, nil
}

// Encode returns the encoding of v. For a v given by pointer and without
// Appenders in it, the result is the only allocation and has no spare capacity.
func Encode(v any) ([]byte, error) {
	rv, p, err := source(v)
	if err != nil {
		return nil, err
	}
	out, err := p.append(make([]byte, 0, p.size(rv, 0)), rv, 0)
	if err != nil {
		return nil, rooted("encode", rv.Type(), err)
	}
	return out, nil
}

// source returns v as an addressable value, without the pointer if it is one
// that is not nil, and its plan.
func source(v any) (reflect.Value, *plan, error) {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() {
		return rv, nil, &Error{Op: "encode", Path: "any", Err: errNilInterface}
	}
	rv = addressable(rv)
	return rv, planOf(rv.Type()), nil
}

var errNilInterface = fmt.Errorf("%w: nil interface", ErrValue)

func addressable(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem()
	}
	x := reflect.New(v.Type()).Elem()
	x.Set(v)
	return x
}

func sizeBool(reflect.Value, int) int { return 1 }

func appendBool(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendBool(b, v.Bool()), nil
}

func sizeUint(v reflect.Value, _ int) int { return UintSize(v.Uint()) }

func appendUint(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendUint(b, v.Uint()), nil
}

func sizeString(v reflect.Value, _ int) int { return StringSize(v.String()) }

func appendString(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendString(b, v.String()), nil
}

func sizeBytes(v reflect.Value, _ int) int { return BytesSize(v.Bytes()) }

func appendBytes(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendBytes(b, v.Bytes()), nil
}

func sizeRaw(v reflect.Value, _ int) int { return v.Len() }

func appendRaw(b []byte, v reflect.Value, _ int) ([]byte, error) {
	r := v.Bytes()
	if err := checkItem(r); err != nil {
		return b, err
	}
	return append(b, r...), nil
}

func bigIntOf(v reflect.Value) *big.Int { return v.Addr().Interface().(*big.Int) }

func sizeBigInt(v reflect.Value, _ int) int { return BigIntSize(bigIntOf(v)) }

func appendBigInt(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendBigInt(b, bigIntOf(v))
}

func uint256Of(v reflect.Value) *Uint256 { return v.Addr().Interface().(*Uint256) }

func sizeUint256(v reflect.Value, _ int) int { return BytesSize(uint256Of(v).trimmed()) }

func appendUint256(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return AppendBytes(b, uint256Of(v).trimmed()), nil
}

// sizeSelf guesses the size of what an Appender will write: a hash.
func sizeSelf(reflect.Value, int) int { return 33 }

func appendSelf(b []byte, v reflect.Value, _ int) ([]byte, error) {
	return v.Addr().Interface().(Appender).AppendRLP(b)
}

func sizeInterface(v reflect.Value, depth int) int {
	if v.IsNil() {
		return 0
	}
	v = addressable(v.Elem())
	return planOf(v.Type()).size(v, depth)
}

func appendInterface(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return b, errNilInterface
	}
	v = addressable(v.Elem())
	return planOf(v.Type()).append(b, v, depth)
}
