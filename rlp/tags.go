package rlp

import (
	"fmt"
	"reflect"
	"strings"
)

// A field is one exported field of a struct as its tag describes it.
type field struct {
	index    int
	name     string
	optional bool
	tail     bool
	plan     *plan
	rest     *slicePlan // instead of plan, of the tail
}

// fields returns the encoded fields of a struct in their order.
func (c *compiler) fields(t reflect.Type) ([]field, error) {
	var fs []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		tags, err := parseTags(sf)
		if err != nil {
			return nil, err
		}
		if tags.ignored {
			continue
		}
		f := field{index: i, name: "." + sf.Name, optional: tags.optional, tail: tags.tail}
		if n := len(fs); n > 0 {
			switch last := fs[n-1]; {
			case last.tail:
				return nil, fmt.Errorf("%w: field %s follows the tail", ErrType, sf.Name)
			case last.optional && !f.optional && !f.tail:
				return nil, fmt.Errorf("%w: field %s follows an optional one and is not optional", ErrType, sf.Name)
			}
		}
		switch {
		case f.tail:
			f.rest = c.slice(sf.Type)
		case tags.null != "":
			f.plan = new(plan)
			c.fillPointer(f.plan, sf.Type, tags.null)
		default:
			f.plan = c.plan(sf.Type)
		}
		fs = append(fs, f)
	}
	if len(fs) == 0 && t.NumField() > 0 {
		return nil, fmt.Errorf("%w %v: no exported field", ErrType, t)
	}
	return fs, nil
}

// tags is what the struct tag of a field says.
type tags struct {
	ignored, optional, tail bool
	null                    string // "nil", "nilString", "nilList" or none
}

func parseTags(sf reflect.StructField) (tags, error) {
	var t tags
	bad := func(word, why string) (tags, error) {
		return tags{}, fmt.Errorf("%w: field %s: tag %q %s", ErrType, sf.Name, word, why)
	}
	for word := range strings.SplitSeq(sf.Tag.Get("rlp"), ",") {
		switch word = strings.TrimSpace(word); word {
		case "":
		case "-":
			t.ignored = true
		case "optional":
			t.optional = true
		case "tail":
			if sf.Type.Kind() != reflect.Slice || sf.Type == rawType || isByte(sf.Type.Elem()) {
				return bad(word, "needs a slice that is not a byte string")
			}
			t.tail = true
		case "nil", "nilString", "nilList":
			if sf.Type.Kind() != reflect.Pointer {
				return bad(word, "needs a pointer")
			}
			t.null = word
		default:
			return bad(word, "is not known")
		}
	}
	if t.tail && t.optional {
		return bad("tail", "excludes optional")
	}
	return t, nil
}
