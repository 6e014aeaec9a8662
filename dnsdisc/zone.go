package dnsdisc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// How long resolvers may keep the records. The root changes with every update;
// what is below it never does, because its name is its hash.
const (
	RootTTL  = 30 * time.Minute
	EntryTTL = 4 * 7 * 24 * time.Hour
)

// stringLimit is how much one character-string of a TXT record holds.
// https://www.rfc-editor.org/rfc/rfc1035#section-3.3
const stringLimit = 255

// ErrUnsigned means that a tree cannot be published before it is signed.
var ErrUnsigned = errors.New("dnsdisc: the tree is not signed")

// AppendZone appends the tree as part of a zone file (RFC 1035, section 5) for
// the domain to b: TXT records and no others, so that it can be included in the
// zone that has the domain. The error is [ErrUnsigned] or about the domain.
func (t *Tree) AppendZone(b []byte, domain string) ([]byte, error) {
	name, err := t.publishable(domain)
	if err != nil {
		return b, err
	}
	b = fmt.Appendf(b, "$ORIGIN %s.\n", name)
	b = appendTXT(b, "@", RootTTL, t.root.String())
	for _, h := range t.order {
		b = appendTXT(b, h.String(), EntryTTL, t.entries[h])
	}
	return b, nil
}

// appendTXT appends one line. No entry contains a quotation mark, a backslash
// or a character that is not printable.
func appendTXT(b []byte, name string, ttl time.Duration, text string) []byte {
	b = append(b, name...)
	b = append(b, '\t')
	b = strconv.AppendInt(b, int64(ttl/time.Second), 10)
	b = append(b, "\tIN\tTXT\t"...)
	for {
		n := min(len(text), stringLimit)
		b = append(b, '"')
		b = append(b, text[:n]...)
		b = append(b, '"')
		if text = text[n:]; text == "" {
			return append(b, '\n')
		}
		b = append(b, ' ')
	}
}

// AppendJSON appends a JSON object to b that has the text of each TXT record under
// its full name, the root first. The error is [ErrUnsigned] or about the
// domain.
func (t *Tree) AppendJSON(b []byte, domain string) ([]byte, error) {
	domain, err := t.publishable(domain)
	if err != nil {
		return b, err
	}
	b = append(b, '{')
	sep := "\n"
	for name, text := range t.Records(domain) {
		b = append(b, sep...)
		b = appendString(append(b, "    "...), name)
		b = appendString(append(b, ": "...), text)
		sep = ",\n"
	}
	return append(b, "\n}\n"...), nil
}

// appendString appends s as JSON, without writing < and > as escapes.
func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.AppendQuote(b, s) // no string fails to encode
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

func (t *Tree) publishable(domain string) (string, error) {
	name, err := parseDomain(domain)
	switch {
	case err != nil:
		return "", fmt.Errorf("dnsdisc: write tree: %w", err)
	case t.Signature() == "":
		return "", ErrUnsigned
	}
	return name, nil
}
