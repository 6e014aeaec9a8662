package keystore

import (
	"encoding/hex"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// secret is the key in both files of testdata.
const secret = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"

func vector(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The definition's own files open with its password.
func TestVectors(t *testing.T) {
	for _, name := range []string{"pbkdf2", "scrypt"} {
		text := []byte(vector(t, name))
		key, err := Decrypt(text, "testpassword")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := hex.EncodeToString(key.Bytes()); got != secret {
			t.Errorf("%s: key %s, want %s", name, got, secret)
		}
	}
}

// Another password, or a changed ciphertext, is told before anything is made a key.
func TestPassword(t *testing.T) {
	text := vector(t, "pbkdf2")
	if _, err := Decrypt([]byte(text), "testpassword\n"); !errors.Is(err, ErrPassword) {
		t.Errorf("a newline after the password: %v, want ErrPassword", err)
	}
	text = strings.Replace(text, "5318b4d5", "5318b4d4", 1)
	if _, err := Decrypt([]byte(text), "testpassword"); !errors.Is(err, ErrPassword) {
		t.Errorf("a changed ciphertext: %v, want ErrPassword", err)
	}
}

// What a file asks for is checked before it is computed: each of these ends
// without the memory or the minutes that it asks for.
func TestRefused(t *testing.T) {
	pbkdf2, scrypt := vector(t, "pbkdf2"), vector(t, "scrypt")
	for _, tt := range []struct{ text, old, new, want string }{
		{scrypt, `"n" : 262144`, `"n" : 1099511627776`, "more memory or time"},
		{scrypt, `"n" : 262144`, `"n" : 2097152`, "more memory or time"},
		{scrypt, `"r" : 1`, `"r" : 9`, "more memory or time"},
		{scrypt, `"r" : 1`, `"r" : 1152921504606846976`, "more memory or time"},
		{scrypt, `"p" : 8`, `"p" : 33`, "more memory or time"},
		{scrypt, `"p" : 8`, `"p" : 1000000000000000000`, "more memory or time"},
		{scrypt, `"p" : 8`, `"p" : 1e30`, "kdfparams"},
		{scrypt, `"n" : 262144`, `"n" : 262143`, "power of two"},
		{scrypt, `"n" : 262144`, `"n" : 1`, "power of two"},
		{scrypt, `"r" : 1`, `"r" : 0`, "power of two"},
		{scrypt, `"p" : 8`, `"p" : -1`, "power of two"},
		{scrypt, `"dklen" : 32`, `"dklen" : 31`, "dklen is 31"},
		{pbkdf2, `"c" : 262144`, `"c" : 10000001`, "want 1 to 10000000"},
		{pbkdf2, `"c" : 262144`, `"c" : 0`, "want 1 to 10000000"},
		{pbkdf2, `hmac-sha256`, `hmac-sha512`, "only hmac-sha256"},
		{pbkdf2, `"kdf" : "pbkdf2"`, `"kdf" : "argon2id"`, `kdf "argon2id"`},
		{pbkdf2, `aes-128-ctr`, `aes-128-cbc`, "only aes-128-ctr"},
		{pbkdf2, `"version" : 3`, `"version" : 1`, "version 1"},
		{pbkdf2, `"crypto"`, `"Cripto"`, "no crypto object"},
		{pbkdf2, `6087dab2`, ``, "iv of 12 bytes"},
		{pbkdf2, `517ead92`, ``, "mac of 28 bytes"},
		{pbkdf2, `5318b4d5`, ``, "ciphertext of 28 bytes"},
		{pbkdf2, `5318b4d5`, `5318b4dx`, "invalid byte"},
		{pbkdf2, `{`, `[`, "keystore: "},
		{pbkdf2, `{`, strings.Repeat(" ", MaxFile) + `{`, "more than 16384 bytes"},
	} {
		text := strings.Replace(tt.text, tt.old, tt.new, 1)
		if text == tt.text {
			t.Errorf("nothing to replace: %s", tt.old)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decrypt([]byte(text), "testpassword")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: %v, want %q", tt.new, tt.old, err, tt.want)
		}
		if held := after.TotalAlloc - before.TotalAlloc; held > 1<<20 {
			t.Errorf("%s for %s: %d bytes allocated", tt.new, tt.old, held)
		}
	}
}

// Whatever a file holds, it ends with a key or an error.
func FuzzDecrypt(f *testing.F) {
	f.Add(strings.Replace(vector(f, "pbkdf2"), "262144", "1", 1))
	f.Add(strings.Replace(vector(f, "scrypt"), "262144", "2", 1))
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := Decrypt([]byte(text), "testpassword"); (key == nil) != (err != nil) {
			t.Errorf("%v, %v", key, err)
		}
	})
}
