package enr

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"parley/internal/secp"
	"parley/rlp"
)

// Sign makes a record of the entries and signs it with key. It adds the entries
// "id" and "secp256k1" and sorts, so entries come in any order without those two.
//
// It is an error that wraps [ErrDuplicateKey] if two entries have the same key,
// [ErrTooLarge] if the record would have more than [SizeLimit] bytes, and an
// [*EntryError] if a value cannot be encoded.
func Sign(key *secp.PrivateKey, seq uint64, entries ...Entry) (*Record, error) {
	pub := key.Public()
	pairs, err := encodePairs(append(slices.Clip(entries), ID(schemeV4), Secp256k1(pub)))
	if err != nil {
		return nil, err
	}
	content := rlp.AppendUint(nil, seq)
	first := len(content)
	for _, p := range pairs {
		content = append(rlp.AppendString(content, p.key), p.value...)
	}
	sig, err := key.Sign(digest(content))
	if err != nil {
		return nil, fmt.Errorf("enr: sign: %w", err)
	}
	size := rlp.BytesSize(sig[:64]) + len(content)
	total := rlp.ListSize(size)
	if total > SizeLimit {
		return nil, fmt.Errorf("enr: sign: %w: %d bytes", ErrTooLarge, total)
	}
	raw := rlp.AppendList(make([]byte, 0, total), size)
	raw = rlp.AppendBytes(raw, sig[:64])
	raw = append(raw, content...)
	return &Record{raw: raw, pairs: total - len(content) + first, seq: seq, key: pub}, nil
}

// pair is an entry with its encoded value.
type pair struct {
	key   string
	value rlp.Raw
}

// encodePairs returns the entries sorted and encoded.
func encodePairs(entries []Entry) ([]pair, error) {
	pairs := make([]pair, 0, len(entries))
	for _, e := range entries {
		if e == nil {
			return nil, errors.New("enr: sign: nil entry")
		}
		p, err := encodePair(e)
		if err != nil {
			return nil, &EntryError{Key: e.ENRKey(), Err: err}
		}
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	for i := 1; i < len(pairs); i++ {
		if key := pairs[i].key; key == pairs[i-1].key {
			return nil, &EntryError{Key: key, Err: ErrDuplicateKey}
		}
	}
	return pairs, nil
}

func encodePair(e Entry) (pair, error) {
	key := e.ENRKey()
	if key == "" {
		return pair{}, errors.New("empty key")
	}
	value, err := rlp.Encode(e)
	if err != nil {
		return pair{}, err
	}
	// The value may have been encoded by a method of the caller's.
	if err := rlp.Valid(value); err != nil {
		return pair{}, err
	}
	return pair{key, value}, nil
}
