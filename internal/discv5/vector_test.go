package discv5

import (
	"bytes"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"parley/enode"
	"parley/enr"
	"parley/internal/secp"
)

// vectors reads testdata/vectors.txt: title to name to value.
func vectors(t testing.TB) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{"": {}}
	title := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			title = strings.TrimSuffix(name, "]")
			all[title] = map[string]string{}
		} else if name, value, ok := strings.Cut(line, " = "); ok {
			all[title][name] = value
		}
	}
	if len(all) != 9 {
		t.Fatalf("%d vectors in the file, want 8", len(all)-1)
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseKey(t testing.TB, s string) *enode.PrivateKey {
	t.Helper()
	key, err := enode.ParsePrivateKey(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The packets of the specification are opened to the values given there, and
// the same values give the same packets.
func TestVectorPackets(t *testing.T) {
	all := vectors(t)
	keyA := parseKey(t, all[""]["node-a-key"])
	keyB := parseKey(t, all[""]["node-b-key"])
	idA, idB := enode.PubkeyID(keyA.Public()), enode.PubkeyID(keyB.Public())
	for _, title := range []string{"ping", "whoareyou", "handshake", "handshake with record"} {
		t.Run(title, func(t *testing.T) {
			v := all[title]
			want := unhex(t, v["packet"])
			if idA.String() != v["src-node-id"] || idB.String() != v["dest-node-id"] {
				t.Fatalf("IDs of the keys are %v and %v", idA, idB)
			}
			p, drop := newCodec(idB, DefaultProtocol).open(want)
			if drop != 0 {
				t.Fatalf("dropped: %v", drop)
			}
			seq := v["ping.enr-seq"]
			if title == "whoareyou" {
				seq = v["whoareyou.enr-seq"]
				if got := hex.EncodeToString(p.head); got != v["whoareyou.challenge-data"] {
					t.Errorf("challenge-data = %s", got)
				}
				if got := hex.EncodeToString(p.nonce[:]); got != v["whoareyou.request-nonce"] {
					t.Errorf("nonce = %s", got)
				}
				if got := strconv.FormatUint(p.seq, 10); got != seq {
					t.Errorf("enr-seq = %s", got)
				}
			} else {
				if got := hex.EncodeToString(p.nonce[:]); p.src != idA || got != v["nonce"] {
					t.Errorf("src = %v, nonce = %s", p.src, got)
				}
				aead := newAEAD([keySize]byte(unhex(t, v["read-key"])))
				plain, err := aead.Open(nil, p.nonce[:], p.message, p.head)
				if err != nil {
					t.Fatal(err)
				}
				m, ok := parseMessage(plain)
				if got := hex.EncodeToString(m.id.bytes()); !ok || m.kind != KindPing || got != v["ping.req-id"] {
					t.Errorf("message = %x: kind %v, id %s", plain, m.kind, got)
				}
				if got := strconv.FormatUint(m.seq, 10); got != seq {
					t.Errorf("enr-seq = %s", got)
				}
			}

			// And back.
			c := newCodec(idA, DefaultProtocol)
			var head, message []byte
			switch {
			case title == "ping":
				head = c.appendMessageHead(nil, [ivSize]byte{}, nonce(unhex(t, v["nonce"])), idA)
			case title == "whoareyou":
				head = c.appendWhoareyou(nil, [ivSize]byte{}, nonce(unhex(t, v["whoareyou.request-nonce"])), [idNonceSize]byte(unhex(t, v["whoareyou.id-nonce"])), 0)
			default:
				head = sealVectorHandshake(t, c, v, keyA, idB, p.record)
				if with := title == "handshake with record"; with != (len(p.record) > 0) {
					t.Errorf("record of %d bytes", len(p.record))
				} else if with {
					record, err := enr.ParseBytes(p.record)
					if err != nil || record.PublicKey() != keyA.Public() {
						t.Errorf("record: %v", err)
					}
				}
			}
			if title != "whoareyou" {
				n, err := strconv.ParseUint(seq, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				ping := appendPing(nil, requestID{b: [8]byte{0, 0, 0, 1}, n: 4}, n)
				aead := newAEAD([keySize]byte(unhex(t, v["read-key"])))
				message = aead.Seal(nil, unhex(t, v["nonce"]), ping, head)
			}
			c.mask(maskOf(idB), head)
			if got := append(head, message...); !bytes.Equal(got, want) {
				t.Errorf("packet =\n%x, want\n%x", got, want)
			}
		})
	}
}

// sealVectorHandshake makes the header of a handshake vector and checks that
// both sides derive its key and that its signature is valid.
func sealVectorHandshake(t *testing.T, c *codec, v map[string]string, keyA *enode.PrivateKey, idB enode.ID, record []byte) []byte {
	t.Helper()
	idA := enode.PubkeyID(keyA.Public())
	challenge := unhex(t, v["whoareyou.challenge-data"])
	ephemeral := parseKey(t, v["ephemeral-key"])
	pub := ephemeral.Public().Compress()
	if got := hex.EncodeToString(pub[:]); got != v["ephemeral-pubkey"] {
		t.Errorf("ephemeral key = %s", got)
	}
	keyB := parseKey(t, vectors(t)[""]["node-b-key"])
	fromA, _, err := deriveKeys(ephemeral, keyB.Public(), idA, idB, challenge)
	if err != nil || hex.EncodeToString(fromA[:]) != v["read-key"] {
		t.Errorf("initiator derives %x, %v", fromA, err)
	}
	fromB, _, err := deriveKeys(keyB, ephemeral.Public(), idA, idB, challenge)
	if err != nil || fromA != fromB {
		t.Errorf("recipient derives %x, %v", fromB, err)
	}
	sig, err := keyA.Sign(identityDigest(challenge, pub[:], idB))
	if err != nil {
		t.Fatal(err)
	}
	return c.appendHandshakeHead(nil, [ivSize]byte{}, nonce(unhex(t, v["nonce"])), idA, [signatureSize]byte(sig[:]), pub, record)
}

// The primitives give the values of the specification.
func TestVectorPrimitives(t *testing.T) {
	all := vectors(t)
	t.Run("ecdh", func(t *testing.T) {
		v := all["ecdh"]
		pub, err := secp.ParsePublicKey(unhex(t, v["public-key"]))
		if err != nil {
			t.Fatal(err)
		}
		secret, err := parseKey(t, v["secret-key"]).SharedPoint(pub)
		if got := hex.EncodeToString(secret[:]); err != nil || got != v["shared-secret"] {
			t.Errorf("shared secret = %s, %v", got, err)
		}
	})
	t.Run("key derivation", func(t *testing.T) {
		v := all["key derivation"]
		pub, err := secp.ParsePublicKey(unhex(t, v["dest-pubkey"]))
		if err != nil {
			t.Fatal(err)
		}
		i, r, err := deriveKeys(parseKey(t, v["ephemeral-key"]), pub, enode.ID(unhex(t, v["node-id-a"])), enode.ID(unhex(t, v["node-id-b"])), unhex(t, v["challenge-data"]))
		if err != nil || hex.EncodeToString(i[:]) != v["initiator-key"] || hex.EncodeToString(r[:]) != v["recipient-key"] {
			t.Errorf("keys = %x, %x, %v", i, r, err)
		}
	})
	t.Run("id signature", func(t *testing.T) {
		v := all["id signature"]
		key := parseKey(t, v["static-key"])
		challenge, ephemeral, dest := unhex(t, v["challenge-data"]), unhex(t, v["ephemeral-pubkey"]), enode.ID(unhex(t, v["node-id-B"]))
		sig, err := key.Sign(identityDigest(challenge, ephemeral, dest))
		if got := hex.EncodeToString(sig[:64]); err != nil || got != v["id-signature"] {
			t.Errorf("signature = %s, %v", got, err)
		}
		if !verifyIdentity(key.Public(), sig[:64], challenge, ephemeral, dest) {
			t.Error("the signature does not verify")
		}
	})
	t.Run("encryption", func(t *testing.T) {
		v := all["encryption"]
		aead := newAEAD([keySize]byte(unhex(t, v["encryption-key"])))
		if got := hex.EncodeToString(aead.Seal(nil, unhex(t, v["nonce"]), unhex(t, v["pt"]), unhex(t, v["ad"]))); got != v["message-ciphertext"] {
			t.Errorf("ciphertext = %s", got)
		}
	})
}
