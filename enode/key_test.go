package enode

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The order of secp256k1, SEC 2 section 2.4.1.
const curveOrder = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"

func TestKeyText(t *testing.T) {
	for name, text := range map[string]string{
		"no newline":   specKey,
		"newline":      specKey + "\n",
		"two":          specKey + "\n\n",
		"DOS":          specKey + "\r\n",
		"upper case":   strings.ToUpper(specKey),
		"order less 1": curveOrder[:63] + "0",
		"one":          strings.Repeat("0", 63) + "1",
	} {
		key, err := ParseKeyText([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := strings.ToLower(strings.TrimRight(text, "\r\n"))
		if got := string(AppendKeyText(nil, key)); got != want {
			t.Errorf("%s: reads as another key", name)
		}
	}
	if key := key(t); PubkeyID(key.Public()).String() != specID {
		t.Errorf("ID %v, want %s", PubkeyID(key.Public()), specID)
	}
}

// I5: a damaged key file is refused, each damage in its own words, and no error
// repeats anything of the file.
func TestKeyTextRefused(t *testing.T) {
	t.Run("I5", func(t *testing.T) {
		seen := map[string]string{}
		for _, c := range []struct{ name, text, want string }{
			{"empty", "", "empty"},
			{"newlines only", "\n\n", "empty"},
			{"63 digits", specKey[:63], "63 characters instead of 64 hex digits"},
			{"half written", specKey[:32] + "\n", "32 characters instead of 64 hex digits"},
			{"65 digits", specKey + "a", "more than 64 hex digits, or something after them"},
			{"space after", specKey + " ", "more than 64 hex digits, or something after them"},
			{"three newlines", specKey + "\n\n\n", "more than two newline characters at the end"},
			{"prefix", "0x" + specKey, "starts with 0x, which a key file does not have"},
			{"prefix in 64", "0x" + specKey[:62], "starts with 0x, which a key file does not have"},
			{"not hex", specKey[:63] + "g", "a character that is not a hex digit"},
			{"space before", " " + specKey[:63], "a character that is not a hex digit"},
			{"torn", specKey[:32] + strings.Repeat("\x00", 32), "a character that is not a hex digit"},
			{"zero", strings.Repeat("0", 64), "the key is zero"},
			{"order", curveOrder, "the key is not below the order of the curve"},
			{"all ones", strings.Repeat("f", 64), "the key is not below the order of the curve"},
			{"large file", strings.Repeat("a", 1<<20), "more than 64 hex digits, or something after them"},
		} {
			key, err := ParseKeyText([]byte(c.text))
			if key != nil || !errors.Is(err, ErrKeyText) || err.Error() != "enode: parse key text: "+c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
				continue
			}
			seen[c.want] = c.name
			for i := 0; i+8 <= min(len(c.text), 64); i++ {
				if strings.Contains(err.Error(), c.text[i:i+8]) {
					t.Errorf("%s: the error repeats the text", c.name)
				}
			}
		}
		if len(seen) != 9 {
			t.Errorf("%d distinct errors, want 9", len(seen))
		}
	})
}

func TestGenerateKey(t *testing.T) {
	a, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseKeyText(AppendKeyText(nil, a))
	if err != nil || b.Public() != a.Public() {
		t.Errorf("a generated key does not survive its text: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if s := fmt.Sprintf(verb, a); strings.Contains(s, hex.EncodeToString(a.Bytes())) {
			t.Errorf("%s prints the secret", verb)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	pub := key(t).Public()
	compressed := pub.Compress()
	for _, b := range [][]byte{pub[:], compressed[:], append([]byte{4}, pub[:]...)} {
		if got, err := ParsePublicKey(b); err != nil || got != pub {
			t.Errorf("ParsePublicKey(%x) = %x, %v", b, got, err)
		}
	}
	if _, err := ParsePublicKey(pub[:63]); err == nil {
		t.Error("63 bytes are accepted")
	}
	if _, err := ParsePrivateKey(make([]byte, 32)); err == nil {
		t.Error("the private key 0 is accepted")
	}
}

// Whatever text is accepted is the text of the key it gives.
func TestKeyTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		text := hex.AppendEncode(nil, b)
		key, err := ParseKeyText(text)
		if err != nil {
			return // zero or not below the order
		}
		if got := AppendKeyText(nil, key); string(got) != string(text) {
			t.Fatal("reads as another key")
		}
	})
}

func FuzzParseKeyText(f *testing.F) {
	f.Add([]byte(specKey + "\r\n"))
	f.Add([]byte("0x" + specKey))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := ParseKeyText(b)
		if err != nil {
			return
		}
		if got := string(AppendKeyText(nil, key)); got != strings.ToLower(strings.TrimRight(string(b), "\r\n")) {
			t.Error("reads as another key")
		}
	})
}
