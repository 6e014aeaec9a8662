package rlpx

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/secp"
)

// vectors reads a file of "name = hex" lines.
func vectors(t testing.TB, file string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string][]byte)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, " = ")
		b, err := hex.DecodeString(value)
		if !ok || err != nil {
			t.Fatalf("%s: line %.40q: %v", file, line, err)
		}
		m[name] = b
	}
	return m
}

func parseKey(t testing.TB, b []byte) *secp.PrivateKey {
	t.Helper()
	k, err := secp.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The packets of EIP-8 say what it says they do, whatever their version and
// whatever follows the fields.
func TestEIP8Packets(t *testing.T) {
	v := vectors(t, "testdata/eip8.txt")
	a, b := parseKey(t, v["static-key-a"]), parseKey(t, v["static-key-b"])
	ephemeralA, ephemeralB := parseKey(t, v["ephemeral-key-a"]), parseKey(t, v["ephemeral-key-b"])

	for _, name := range []string{"auth2", "auth3"} {
		got, err := openAuth(b, v[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := auth{a.Public(), ephemeralA.Public(), [32]byte(v["nonce-a"])}
		if got != want {
			t.Errorf("%s = %x, want %x", name, got, want)
		}
	}
	for _, name := range []string{"ack2", "ack3"} {
		got, err := openAck(a, v[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := ack{ephemeralB.Public(), [32]byte(v["nonce-b"])}
		if got != want {
			t.Errorf("%s = %x, want %x", name, got, want)
		}
	}
}

// The secrets of (auth2, ack2) are those of EIP-8, for both sides, and so is B's
// running hash of what comes in.
func TestEIP8Secrets(t *testing.T) {
	v := vectors(t, "testdata/eip8.txt")
	ephemeralA, ephemeralB := parseKey(t, v["ephemeral-key-a"]), parseKey(t, v["ephemeral-key-b"])
	tr := &transcript{[32]byte(v["nonce-a"]), [32]byte(v["nonce-b"]), v["auth2"], v["ack2"]}
	want := secrets{[32]byte(v["aes-secret"]), [32]byte(v["mac-secret"])}

	for side, keys := range map[string][2]*secp.PrivateKey{
		"initiator": {ephemeralA, ephemeralB},
		"recipient": {ephemeralB, ephemeralA},
	} {
		got, err := deriveSecrets(keys[0], keys[1].Public(), tr)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: secrets %x, want %x", side, got, want)
		}
	}
	ingress, _, err := newLanes(want, tr)
	if err != nil {
		t.Fatal(err)
	}
	ingress.mac.Absorb([]byte("foo"))
	if got := ingress.mac.Sum(); !bytes.Equal(got[:], v["ingress-mac-foo"]) {
		t.Errorf("ingress-mac(foo) = %x, want %x", got, v["ingress-mac-foo"])
	}
}

// Accept takes the packets of EIP-8 from the wire and names their sender.
func TestEIP8Accept(t *testing.T) {
	v := vectors(t, "testdata/eip8.txt")
	a, b := parseKey(t, v["static-key-a"]), parseKey(t, v["static-key-b"])
	for _, name := range []string{"auth2", "auth3"} {
		ea, eb := pipe()
		ea.Write(v[name])
		c, err := Accept(eb, b, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Remote() != a.Public() {
			t.Errorf("%s: remote %x, want %x", name, c.Remote(), a.Public())
		}
	}
}

// The packets of the old format, 307 and 210 bytes, are refused for what they
// are, without waiting for the bytes that their beginning seems to announce.
func TestB16(t *testing.T) {
	v := vectors(t, "testdata/eip8.txt")
	if len(v["auth1"]) != 307 {
		t.Fatalf("auth1 has %d bytes, want 307", len(v["auth1"]))
	}
	synctest.Test(t, func(t *testing.T) {
		ea, eb := pipe()
		eb.SetDeadline(time.Now().Add(5 * time.Second))
		ea.Write(v["auth1"])
		if _, err := Accept(eb, parseKey(t, v["static-key-b"]), nil); !errors.Is(err, ErrPreEIP8) {
			t.Errorf("Accept(auth1) = %v, want ErrPreEIP8", err)
		}
		if eb.written != 0 {
			t.Errorf("%d bytes written in answer", eb.written)
		}

		ea, eb = pipe()
		ea.SetDeadline(time.Now().Add(5 * time.Second))
		eb.Write(v["ack1"])
		if _, err := Initiate(ea, parseKey(t, v["static-key-a"]), keyB.Public(), nil); !errors.Is(err, ErrPreEIP8) {
			t.Errorf("Initiate(ack1) = %v, want ErrPreEIP8", err)
		}
	})
}
