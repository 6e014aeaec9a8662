package rlp

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"sync/atomic"
)

// A plan is how the values of one type are encoded and decoded. Values passed to
// its functions are addressable and of that type.
type plan struct {
	// size is how many bytes append will write. For types with an Appender it is
	// a guess. A value that cannot be encoded may have any size.
	size func(v reflect.Value, depth int) int
	// constant is that size if it is the same for all values, otherwise 0.
	constant int
	// append writes v; depth is the number of lists around it.
	append func(b []byte, v reflect.Value, depth int) ([]byte, error)
	// decode reads one item into v, whose old content it does not use.
	decode func(c *Cursor, v reflect.Value) error
}

// plans remembers the plan of each type seen. A plan depends on the type alone,
// so this is the memo of a pure function, bounded by the types of the program:
// the map is never changed, only replaced by a larger one, and which of two
// goroutines wins a race to replace it makes no difference.
// docs/decisions/0002-rlp-type-plans.md
var plans atomic.Pointer[map[reflect.Type]*plan]

// planOf returns the plan of t.
func planOf(t reflect.Type) *plan {
	known := plans.Load()
	if known != nil {
		if p, ok := (*known)[t]; ok {
			return p
		}
	}
	c := compiler{made: make(map[reflect.Type]*plan)}
	if known != nil {
		c.known = *known
	}
	p := c.plan(t)
	for {
		all := maps.Clone(c.made)
		if known != nil {
			maps.Copy(all, *known) // of two equal plans the older stays
		}
		if plans.CompareAndSwap(known, &all) {
			return p
		}
		known = plans.Load()
	}
}

// A compiler makes the plans of a type and of the types in it.
type compiler struct {
	known map[reflect.Type]*plan
	made  map[reflect.Type]*plan // may be unfinished: types may be recursive
}

func (c *compiler) plan(t reflect.Type) *plan {
	if p, ok := c.known[t]; ok {
		return p
	}
	if p, ok := c.made[t]; ok {
		return p
	}
	p := new(plan)
	c.made[t] = p
	c.fill(p, t)
	return p
}

var (
	appenderType = reflect.TypeFor[Appender]()
	decoderType  = reflect.TypeFor[Decoder]()
	bigIntType   = reflect.TypeFor[big.Int]()
	uint256Type  = reflect.TypeFor[Uint256]()
	rawType      = reflect.TypeFor[Raw]()
)

// fill makes the plan of t. Types with special encodings come first, then the
// methods of the type replace what its structure says.
func (c *compiler) fill(p *plan, t reflect.Type) {
	switch t {
	case rawType:
		*p = plan{size: sizeRaw, append: appendRaw, decode: decodeRaw}
		return
	case bigIntType:
		*p = plan{size: sizeBigInt, append: appendBigInt, decode: decodeBigInt}
		return
	case uint256Type:
		*p = plan{size: sizeUint256, append: appendUint256, decode: decodeUint256}
		return
	}
	// A pointer and the type it points to share their methods; the plan of the
	// pointer looks after nil and leaves the methods to the plan of its element.
	pointer := t.Kind() == reflect.Pointer
	appends := !pointer && reflect.PointerTo(t).Implements(appenderType)
	decodes := !pointer && reflect.PointerTo(t).Implements(decoderType)
	if !appends || !decodes {
		c.fillKind(p, t)
	}
	if appends {
		p.size, p.constant, p.append = sizeSelf, 0, appendSelf
	}
	if decodes {
		p.decode = decodeSelf
	}
}

func (c *compiler) fillKind(p *plan, t reflect.Type) {
	switch t.Kind() {
	case reflect.Bool:
		*p = plan{size: sizeBool, constant: 1, append: appendBool, decode: decodeBool}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		*p = plan{size: sizeUint, append: appendUint, decode: decodeUint(t.Bits())}
	case reflect.String:
		*p = plan{size: sizeString, append: appendString, decode: decodeString}
	case reflect.Slice:
		if isByte(t.Elem()) {
			*p = plan{size: sizeBytes, append: appendBytes, decode: decodeBytes}
		} else {
			c.fillSlice(p, t)
		}
	case reflect.Array:
		if isByte(t.Elem()) {
			*p = plan{size: sizeBytes, append: appendBytes, decode: decodeByteArray}
			if n := t.Len(); n != 1 { // one byte may be an item without a header
				p.constant = headSize(n) + n
			}
		} else {
			c.fillArray(p, t)
		}
	case reflect.Struct:
		c.fillStruct(p, t)
	case reflect.Pointer:
		c.fillPointer(p, t, "")
	case reflect.Interface:
		*p = plan{size: sizeInterface, append: appendInterface, decode: unsupported(t, "can be encoded, but not decoded").decode}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		*p = unsupported(t, "RLP has no signed integers")
	default:
		*p = unsupported(t, "")
	}
}

// unsupported returns the plan of a type that has no encoding.
func unsupported(t reflect.Type, why string) plan {
	err := fmt.Errorf("%w %v", ErrType, t)
	if why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return plan{
		size:   func(reflect.Value, int) int { return 0 },
		append: func(b []byte, _ reflect.Value, _ int) ([]byte, error) { return b, err },
		decode: func(*Cursor, reflect.Value) error { return err },
	}
}

// isByte reports whether slices and arrays of t are byte strings.
func isByte(t reflect.Type) bool {
	return t.Kind() == reflect.Uint8 &&
		!reflect.PointerTo(t).Implements(appenderType) && !reflect.PointerTo(t).Implements(decoderType)
}

// kindOf is the kind of item that a nil pointer to t stands for.
func kindOf(t reflect.Type) Kind {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		if t == rawType || t == uint256Type || isByte(t.Elem()) {
			return String
		}
		return List
	case reflect.Struct:
		if t == bigIntType {
			return String
		}
		return List
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	return String
}
