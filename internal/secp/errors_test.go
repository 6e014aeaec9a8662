package secp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// Each refusal is one of the three errors, says which package speaks, and carries
// nothing of a secret.
func TestErrors(t *testing.T) {
	k := private(secretA)
	good, _ := k.Sign([32]byte(digestA))
	with := func(i int, b byte) Signature {
		sig := good
		sig[i] = b
		return sig
	}
	shown := forms(secretA)
	noSuchX := Signature{31: 5, 63: 1} // no point has X = 5
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"empty public key", second(ParsePublicKey(nil)), ErrPublicKey},
		{"public key of 34 bytes", second(ParsePublicKey(make([]byte, 34))), ErrPublicKey},
		{"public key with format 06", second(ParsePublicKey(append([]byte{6}, refG.keyBytes()...))), ErrPublicKey},
		{"compressed key with format 04", second(ParsePublicKey(append([]byte{4}, secretA...))), ErrPublicKey},
		{"zero public key", second(ParsePublicKey(make([]byte, 64))), ErrPublicKey},
		{"ECDH with the zero key", second(k.ECDH(PublicKey{})), ErrPublicKey},
		{"SharedPoint with the zero key", second(k.SharedPoint(PublicKey{})), ErrPublicKey},
		{"zero secret", second(ParsePrivateKey(make([]byte, 32))), ErrPrivateKey},
		{"secret N", second(ParsePrivateKey(b32(refN))), ErrPrivateKey},
		{"secret of 31 bytes", second(ParsePrivateKey(secretA[:31])), ErrPrivateKey},
		{"Sign with the zero PrivateKey", second(new(PrivateKey).Sign([32]byte{})), ErrPrivateKey},
		{"ECDH with the zero PrivateKey", second(new(PrivateKey).ECDH(k.Public())), ErrPrivateKey},
		{"SharedPoint with the zero PrivateKey", second(new(PrivateKey).SharedPoint(k.Public())), ErrPrivateKey},
		{"v = 4", second(Recover([32]byte{}, with(64, 4))), ErrSignature},
		{"v = 27", second(Recover([32]byte{}, with(64, 27))), ErrSignature},
		{"zero signature", second(Recover([32]byte{}, Signature{})), ErrSignature},
		{"s above N/2", second(Recover([32]byte(digestA), negateS(good))), ErrSignature},
		{"r without a point", second(Recover([32]byte{}, noSuchX)), ErrSignature},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: error %v, want %v", c.what, c.err, c.want)
			continue
		}
		if text := c.err.Error(); !strings.HasPrefix(text, "secp: ") || shows(text, shown) {
			t.Errorf("%s: error text %q", c.what, text)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The zero PrivateKey has no bytes and no public key, and does not panic.
func TestZeroPrivateKey(t *testing.T) {
	var k PrivateKey
	if !bytes.Equal(k.Bytes(), make([]byte, 32)) || !k.Public().IsZero() {
		t.Errorf("zero PrivateKey: Bytes %x, Public %x", k.Bytes(), k.Public())
	}
}

// printVerbs are all verbs of fmt and some of their flags.
var printVerbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%#x", "% x", "% #X", "%d", "%+d", "%o", "%O", "%b",
	"%c", "%U", "%#U", "%t", "%e", "%g", "%200v", "%.2s",
}

// A key prints as the same text whatever the verb.
func TestPrintKey(t *testing.T) {
	k := private(secretA)
	for _, verb := range printVerbs {
		if text := fmt.Sprintf(verb+verb, k, *k); text != redacted+redacted {
			t.Errorf("Sprintf(%q) = %s", verb, text)
		}
	}
	for _, text := range []string{k.String(), k.GoString(), fmt.Sprint(k)} {
		if text != "PrivateKey(redacted)" {
			t.Errorf("a key prints as %q", text)
		}
	}
}

// No way of printing or encoding something that holds a key shows the secret,
// however it is held.
func TestPrintRedacted(t *testing.T) {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(0xd1 + i)
	}
	k := private(secret)
	shown := forms(secret)
	type config struct {
		Key    *PrivateKey
		hidden *PrivateKey
		value  PrivateKey // printed by reflection, without asking its methods
	}
	c := config{k, k, *k}

	for _, verb := range append(printVerbs, "%w", "%p", "%T") {
		for _, v := range []any{k, *k, c, &c, []*PrivateKey{k}, []PrivateKey{*k}, map[string]any{"k": *k}, &struct{ c *config }{&c}} {
			if text := fmt.Sprintf(verb, v); shows(text, shown) {
				t.Errorf("Sprintf(%q, %T) = %s", verb, v, text)
			}
		}
	}
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("start", "key", k, "value", *k, "config", c, slog.Group("g", "key", k))
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if text := out.String() + string(encoded); !strings.Contains(text, "start") || shows(text, shown) {
		t.Errorf("logged and encoded: %s", text)
	}
}

// forms are four bytes of the secret in a row, in all ways in which fmt or an
// encoder writes bytes, and the secret as a number.
func forms(secret []byte) []string {
	n := new(big.Int).SetBytes(secret)
	all := []string{n.String(), n.Text(8), n.Text(2)}
	for i := range len(secret) - 3 {
		window := [4]byte(secret[i:])
		for _, verb := range printVerbs {
			for _, v := range []any{window, window[:], string(window[:])} {
				all = append(all, strings.Trim(fmt.Sprintf(verb, v), `[]{}" `))
			}
		}
		all = append(all, strings.Trim(fmt.Sprintf("%#v", window), "[4]byte{}"))
	}
	for i := range 3 { // base64 depends on the offset
		all = append(all, base64.RawStdEncoding.EncodeToString(secret[i:i+6]))
	}
	return slices.DeleteFunc(all, func(form string) bool { return len(form) < 4 })
}

func shows(text string, forms []string) bool {
	return slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) })
}

// The search of TestPrintRedacted finds a secret, and nothing in addresses.
func TestForms(t *testing.T) {
	secret := []byte{0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8}
	shown := forms(secret)
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("{%d}", [8]byte(secret)),
		fmt.Sprintf("%#v", secret), fmt.Sprintf("%q", secret), string(secret),
		base64.StdEncoding.EncodeToString(secret),
		fmt.Sprintf(printVerbs[3], struct{ p *[8]byte }{(*[8]byte)(secret)}), // %s follows the pointer
	} {
		if !shows(text, shown) {
			t.Errorf("not found in %q", text)
		}
	}
	if text := fmt.Sprintf("%b %x %p", uint64(0xc000012345678), uint64(0x7fff1111111111), secret); shows(text, shown) {
		t.Errorf("found in %q", text)
	}
}
