package secp

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A testCase is one line of a file in testdata:
//
//	name operation arguments = result
//
// Arguments and results are hex, "-" stands for no bytes. The result of what
// must fail is "refused".
type testCase struct {
	name, op string
	args     [][]byte
	want     string
}

func (c testCase) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.name, c.op)
	for _, arg := range c.args {
		if len(arg) == 0 {
			b.WriteString(" -")
			continue
		}
		fmt.Fprintf(&b, " %x", arg)
	}
	fmt.Fprintf(&b, " = %s", c.want)
	return b.String()
}

func readCases(t *testing.T, file string) []testCase {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []testCase
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n := len(words)
		if n < 5 || words[n-2] != "=" {
			t.Fatalf("%s: malformed line %q", file, lines.Text())
		}
		c := testCase{name: words[0], op: words[1], want: words[n-1]}
		for _, word := range words[2 : n-2] {
			arg, err := hex.DecodeString(strings.TrimPrefix(word, "-"))
			if err != nil {
				t.Fatalf("%s: %q: %v", file, lines.Text(), err)
			}
			c.args = append(c.args, arg)
		}
		cases = append(cases, c)
	}
	return cases
}

// run applies an operation through the exported functions and methods.
func run(op string, args [][]byte) string {
	switch op {
	case "private":
		k, err := ParsePrivateKey(args[0])
		if err != nil {
			return "refused"
		}
		return fmt.Sprintf("%x", k.Public())
	case "parse":
		pub, err := ParsePublicKey(args[0])
		return result(pub[:], err)
	case "compress":
		b := PublicKey(args[0]).Compress()
		return result(b[:], nil)
	case "ecdh":
		x, err := private(args[0]).ECDH(PublicKey(args[1]))
		return result(x[:], err)
	case "shared":
		point, err := private(args[0]).SharedPoint(PublicKey(args[1]))
		return result(point[:], err)
	case "sign":
		sig, err := private(args[0]).Sign([32]byte(args[1]))
		return result(sig[:], err)
	case "recover":
		pub, err := Recover([32]byte(args[0]), Signature(args[1]))
		return result(pub[:], err)
	case "verify":
		return fmt.Sprint(Verify(PublicKey(args[0]), [32]byte(args[1]), [64]byte(args[2])))
	case "keccak":
		sum := Keccak256(args...)
		return result(sum[:], nil)
	}
	panic("unknown operation " + op)
}

// runReference does the same by the formulas of reference_test.go.
func runReference(op string, args [][]byte) string {
	switch op {
	case "private":
		if d := refSecret(args[0]); d != nil {
			return refResult(refG.mul(d))
		}
		return "refused"
	case "parse":
		return refResult(refParse(args[0]))
	case "ecdh", "shared":
		p := refParse(args[1])
		if p == nil {
			return "refused"
		}
		product := p.mul(refSecret(args[0])).key()
		if op == "ecdh" {
			return fmt.Sprintf("%x", product[:32])
		}
		return fmt.Sprintf("%02x%x", 2+product[63]&1, product[:32])
	case "sign":
		return fmt.Sprintf("%x", refSign(args[0], args[1]))
	case "recover":
		return refResult(refRecover(args[0], args[1]))
	case "verify":
		return fmt.Sprint(refVerify(args[0], args[1], args[2]))
	}
	panic("unknown operation " + op)
}

// result is the text of an outcome. A function that fails returns zeros with the
// error, so that nobody can use half a result.
func result(b []byte, err error) string {
	if err == nil {
		return fmt.Sprintf("%x", b)
	}
	if strings.Trim(string(b), "\x00") != "" {
		return fmt.Sprintf("error with the value %x", b)
	}
	return "refused"
}

func refResult(p *refPoint) string {
	if p == nil {
		return "refused"
	}
	return fmt.Sprintf("%x", p.key())
}

// private returns the key of 32 bytes that are known to be good.
func private(b []byte) *PrivateKey {
	k, err := ParsePrivateKey(b)
	if err != nil {
		panic(err)
	}
	return k
}

// The vectors of the specifications hold.
func TestVectors(t *testing.T) {
	for _, c := range readCases(t, "testdata/vectors.txt") {
		t.Run(c.name, func(t *testing.T) {
			if got := run(c.op, c.args); got != c.want {
				t.Errorf("%v: got %s", c, got)
			}
		})
	}
}
