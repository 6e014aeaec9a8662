package datadir

import (
	"errors"
	"fmt"
	"io/fs"

	"parley/enode"
)

// NodeKey returns the node's key, making it when the directory is used for the
// first time (made is then true). A key file that is damaged, empty or readable
// by others is an error: a node must not change its identity because of one.
func (d *Dir) NodeKey() (key *enode.PrivateKey, made bool, err error) {
	key, err = ReadKey(d.KeyFile())
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key, err = NewKey(d.KeyFile())
	return key, true, err
}

// ReadKey reads a node key file: 64 hex digits, readable by the owner only.
func ReadKey(path string) (*enode.PrivateKey, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	key, err := enode.ParseKeyText(text)
	if err != nil {
		return nil, fmt.Errorf("node key: %s: %w; restore it from a copy, or move it away to start with a new identity", path, err)
	}
	return key, nil
}

// NewKey makes a new key and writes it to path, which must not exist.
func NewKey(path string) (*enode.PrivateKey, error) {
	key, err := enode.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	if err := WriteNew(path, append(enode.AppendKeyText(nil, key), '\n')); err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	return key, nil
}
