// Package keystore reads keys that are kept under a password, in files of version 3
// of the Web3 Secret Storage Definition.
//
// https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/
package keystore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/scrypt"
	"golang.org/x/crypto/sha3"

	"parley/enode"
)

// MaxFile is the largest file that Decrypt takes, in bytes.
const MaxFile = 16 << 10

// What a file may ask for. The usual parameters of scrypt are n = 262144, r = 8,
// p = 1: 256 MiB, and a second on a slow machine. A file may ask for as much memory
// and for four times that work.
const (
	maxN      = 1 << 20
	maxR      = 64
	maxP      = 64
	maxBlocks = 1 << 21 // n times r, of 128 bytes each
	maxWork   = 4 << 21 // n times r times p
	maxC      = 10_000_000
)

// ErrPassword means that the password is not the file's, or that the file has
// been changed: there is no telling which.
var ErrPassword = errors.New("keystore: wrong password")

// A file is what matters here of the JSON.
type file struct {
	Version int             `json:"version"`
	Crypto  json.RawMessage `json:"crypto"`
}

type sealed struct {
	Cipher       string `json:"cipher"`
	CipherParams struct {
		IV digits `json:"iv"`
	} `json:"cipherparams"`
	CipherText digits          `json:"ciphertext"`
	KDF        string          `json:"kdf"`
	KDFParams  json.RawMessage `json:"kdfparams"`
	MAC        digits          `json:"mac"`
}

// digits are bytes in hex.
type digits []byte

// UnmarshalText reads hex digits.
func (d *digits) UnmarshalText(text []byte) (err error) {
	*d, err = hex.AppendDecode(nil, text)
	return err
}

// Is reports whether a file is meant for Decrypt, and not one with a plain key.
func Is(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }

// Decrypt returns the key in the file with the given text. It takes a second of
// computing or several, and up to 256 MiB of memory, as the file asks for; a file
// that asks for more is refused before anything is computed. The error is
// [ErrPassword] or about the file.
func Decrypt(text []byte, password string) (*enode.PrivateKey, error) {
	wrong := func(format string, args ...any) (*enode.PrivateKey, error) {
		return nil, fmt.Errorf("keystore: "+format, args...)
	}
	if len(text) > MaxFile {
		return wrong("the file has more than %d bytes", MaxFile)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return wrong("%w", err)
	}
	var s sealed
	switch {
	case f.Version != 3:
		return wrong("version %d of the format, only 3 can be read", f.Version)
	case f.Crypto == nil:
		return wrong("the file has no crypto object")
	}
	if err := json.Unmarshal(f.Crypto, &s); err != nil {
		return wrong("%w", err)
	}
	switch {
	case s.Cipher != "aes-128-ctr":
		return wrong("cipher %q, only aes-128-ctr can be read", s.Cipher)
	case len(s.CipherParams.IV) != aes.BlockSize:
		return wrong("iv of %d bytes, want %d", len(s.CipherParams.IV), aes.BlockSize)
	case len(s.CipherText) != 32:
		return wrong("ciphertext of %d bytes, a key has 32", len(s.CipherText))
	case len(s.MAC) != 32:
		return wrong("mac of %d bytes, want 32", len(s.MAC))
	}
	derived, err := s.derive(password)
	if err != nil {
		return wrong("%w", err)
	}
	mac := sha3.NewLegacyKeccak256()
	mac.Write(derived[16:32])
	mac.Write(s.CipherText)
	if subtle.ConstantTimeCompare(mac.Sum(nil), s.MAC) != 1 {
		return nil, ErrPassword
	}
	block, err := aes.NewCipher(derived[:16])
	if err != nil {
		return wrong("%w", err)
	}
	secret := make([]byte, len(s.CipherText))
	cipher.NewCTR(block, s.CipherParams.IV).XORKeyStream(secret, s.CipherText)
	key, err := enode.ParsePrivateKey(secret)
	if err != nil {
		return wrong("%w", err)
	}
	return key, nil
}

// derive returns the first 32 bytes of what the file's function makes of the
// password. No more of it is ever used.
func (s *sealed) derive(password string) ([]byte, error) {
	var params struct {
		Salt  digits `json:"salt"`
		DKLen int    `json:"dklen"`

		N, R, P int // scrypt

		C   int    // pbkdf2
		PRF string `json:"prf"`
	}
	if err := json.Unmarshal(s.KDFParams, &params); err != nil {
		return nil, fmt.Errorf("kdfparams: %w", err)
	}
	if params.DKLen < 32 {
		return nil, fmt.Errorf("dklen is %d, want at least 32", params.DKLen)
	}
	switch s.KDF {
	case "scrypt":
		n, r, p := params.N, params.R, params.P
		switch {
		case n < 2 || n&(n-1) != 0 || r < 1 || p < 1:
			return nil, fmt.Errorf("scrypt with n = %d, r = %d, p = %d: n must be a power of two above 1, the others above 0", n, r, p)
		case n > maxN || r > maxR || p > maxP || n*r > maxBlocks || n*r*p > maxWork:
			return nil, fmt.Errorf("scrypt with n = %d, r = %d, p = %d asks for more memory or time than a key is worth", n, r, p)
		}
		return scrypt.Key([]byte(password), params.Salt, n, r, p, 32)
	case "pbkdf2":
		switch {
		case params.PRF != "hmac-sha256":
			return nil, fmt.Errorf("pbkdf2 with %q, only hmac-sha256 can be read", params.PRF)
		case params.C < 1 || params.C > maxC:
			return nil, fmt.Errorf("pbkdf2 with c = %d, want 1 to %d", params.C, maxC)
		}
		return pbkdf2.Key(sha256.New, password, params.Salt, params.C, 32)
	}
	return nil, fmt.Errorf("kdf %q, only scrypt and pbkdf2 can be read", s.KDF)
}
