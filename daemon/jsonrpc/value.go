package jsonrpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// Why a stream of bytes is not a request.
var (
	errTooLarge = errors.New("jsonrpc: request is larger than 5 MiB")
	errTooDeep  = errors.New("jsonrpc: request is nested deeper than 32 levels")
	errTooMany  = errors.New("jsonrpc: batch has more than 100 calls")
	errNoObject = errors.New("jsonrpc: request is neither an object nor an array")
)

// A scanner follows JSON text one byte at a time, just closely enough to know
// where a value ends, how deep it is and where its first level is divided. It
// does not check the syntax.
type scanner struct {
	depth   int
	quoted  bool // inside a string
	escaped bool // after a backslash in a string
}

// step takes the next byte and reports whether it is outside all strings.
func (s *scanner) step(c byte) bool {
	if s.quoted {
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = true
		case c == '"':
			s.quoted = false
		}
		return false
	}
	switch c {
	case '"':
		s.quoted = true
		return false
	case '{', '[':
		s.depth++
	case '}', ']':
		s.depth--
	}
	return true
}

// readValue reads one object or array from r, skipping space before it. It stops
// at the first byte that breaks a limit, so what it holds never exceeds what
// arrived, nor MaxBody. The end of r before a value is io.EOF, inside one
// io.ErrUnexpectedEOF.
func readValue(r *bufio.Reader) ([]byte, error) {
	first, err := skipSpace(r)
	if err != nil {
		return nil, err
	}
	if first != '{' && first != '[' {
		return nil, errNoObject
	}
	var (
		value = make([]byte, 0, 512)
		scan  scanner
		calls = 1
	)
	for c := first; ; {
		if len(value) == MaxBody {
			return nil, errTooLarge
		}
		if len(value) == cap(value) {
			value = append(make([]byte, 0, min(2*cap(value), MaxBody)), value...)
		}
		value = append(value, c)
		if scan.step(c) {
			switch {
			case scan.depth == 0:
				return value, nil
			case scan.depth > MaxDepth:
				return nil, errTooDeep
			case first == '[' && c == ',' && scan.depth == 1:
				if calls++; calls > MaxBatch {
					return nil, errTooMany
				}
			}
		}
		if c, err = r.ReadByte(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// skipSpace returns the first byte of r that is not JSON's white space.
func skipSpace(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// elements yields the elements of an array, or the members of an object as
// `"key":value`, trimmed and aliasing raw. raw must be valid JSON.
//
// Decoding into a slice of json.RawMessage would cost 24 bytes for an element of
// two and copy everything once more.
func elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		raw = bytes.TrimSpace(raw)
		inner := bytes.TrimSpace(raw[1 : len(raw)-1])
		var (
			scan  scanner
			start int
		)
		for i, c := range inner {
			if scan.step(c) && c == ',' && scan.depth == 0 {
				if !yield(bytes.TrimSpace(inner[start:i])) {
					return
				}
				start = i + 1
			}
		}
		if len(inner) > 0 {
			yield(bytes.TrimSpace(inner[start:]))
		}
	}
}

// splitMember divides a member of an object, as elements yields it, into the
// quoted key and the value.
func splitMember(member []byte) (key, value []byte) {
	var scan scanner
	for i, c := range member {
		if scan.step(c) && c == ':' {
			return bytes.TrimSpace(member[:i]), bytes.TrimSpace(member[i+1:])
		}
	}
	return member, nil
}
