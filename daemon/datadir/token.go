package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// minToken is the least number of characters of a token that an operator made.
const minToken = 32

// Token returns the token in the file at path, and makes one of 64 hex digits if
// there is no file.
func Token(path string) (token string, err error) {
	text, err := readSecret(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		var random [32]byte
		rand.Read(random[:]) // never fails
		token = hex.EncodeToString(random[:])
		if err := WriteNew(path, []byte(token+"\n")); err != nil {
			return "", fmt.Errorf("http token: %w", err)
		}
		return token, nil
	case err != nil:
		return "", fmt.Errorf("http token: %w", err)
	}
	token = strings.TrimSpace(string(text))
	if len(token) < minToken || strings.ContainsFunc(token, notPrintable) {
		return "", fmt.Errorf("http token: %s: want one line of at least %d printable characters", path, minToken)
	}
	return token, nil
}

func notPrintable(r rune) bool { return r <= ' ' || r > '~' }
