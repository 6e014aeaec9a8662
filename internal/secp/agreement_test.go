package secp

import (
	"bytes"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/agreement.txt anew")

const agreementFile = "testdata/agreement.txt"

// The hostile and the extreme inputs have the outcome that is written down, which
// a build with the other back end is held to as well.
func TestAgreement(t *testing.T) {
	if *update {
		writeAgreement(t)
	}
	byName := make(map[string][]testCase)
	for _, c := range readCases(t, agreementFile) {
		byName[c.name] = append(byName[c.name], c)
	}
	for _, name := range []string{"B5", "B6", "B7", "B8", "secret", "edge", "random"} {
		t.Run(name, func(t *testing.T) {
			if len(byName[name]) == 0 {
				t.Fatal("no cases")
			}
			for _, c := range byName[name] {
				if got := run(c.op, c.args); got != c.want {
					t.Errorf("%v: got %s", c, got)
				}
			}
		})
		delete(byName, name)
	}
	for name := range byName {
		t.Errorf("cases named %s are not run", name)
	}
}

// The file holds every case that agreementCases makes, and what it says of each is
// what the formulas of SEC 1 say.
func TestAgreementFile(t *testing.T) {
	file := readCases(t, agreementFile)
	for _, c := range file {
		if got := runReference(c.op, c.args); got != c.want {
			t.Errorf("%v: by the reference %s", c, got)
		}
	}
	same := slices.EqualFunc(file, agreementCases(), func(a, b testCase) bool {
		b.want = a.want
		return a.String() == b.String()
	})
	if !same {
		t.Errorf("%s is not up to date: go test -run TestAgreement -update", agreementFile)
	}
}

func writeAgreement(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Written by go test -run TestAgreement -update, from the formulas in reference_test.go; no back end\n" +
		"# takes part. Checked against each of them. B5 to B8 are rows of the list of adversaries.\n" +
		"# One line is: name operation arguments = result; hex, \"-\" is no bytes.\n")
	for _, c := range agreementCases() {
		c.want = runReference(c.op, c.args)
		fmt.Fprintln(&b, c)
	}
	if err := os.WriteFile(agreementFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// agreementCases returns the inputs, always the same ones, each once.
func agreementCases() []testCase {
	cases := slices.Concat(
		casesOffCurve(), casesCoordinates(), casesFormat(), casesSignature(),
		casesSecret(), casesEdge(), casesRandom(),
	)
	seen := make(map[string]bool)
	return slices.DeleteFunc(cases, func(c testCase) bool {
		text := c.String()
		again := seen[text]
		seen[text] = true
		return again
	})
}

func newCase(name, op string, args ...[]byte) testCase {
	return testCase{name: name, op: op, args: args}
}

// b32 is n as 32 bytes, big endian.
func b32(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

func small(n int64) *big.Int { return big.NewInt(n) }

// power is 2^n + d.
func power(n uint, d int64) *big.Int { return plus(new(big.Int).Lsh(small(1), n), small(d)) }

var (
	secretA = bytes.Repeat([]byte{0x11}, 32)
	digestA = bytes.Repeat([]byte{0x22}, 32)
	top     = power(256, -1) // the largest number of 32 bytes
)

// pointUses are all ways in which 64 bytes from a stranger meet the curve.
func pointUses(name string, xy []byte) []testCase {
	sig := refSign(secretA, digestA)
	return []testCase{
		newCase(name, "parse", xy),
		newCase(name, "parse", append([]byte{4}, xy...)),
		newCase(name, "ecdh", secretA, xy),
		newCase(name, "shared", secretA, xy),
		newCase(name, "verify", xy, digestA, sig[:64]),
	}
}

// B5: points off the curve, (0,0), 04‖00×64.
func casesOffCurve() (cases []testCase) {
	g := refG.key()
	for _, xy := range [][]byte{
		make([]byte, 64), // (0,0), also what 04‖00×64 names
		slices.Concat(b32(refG.x), b32(plus(refG.y, small(1)))),
		slices.Concat(b32(plus(refG.x, small(1))), b32(refG.y)),
		slices.Concat(b32(refG.y), b32(refG.x)),
		slices.Concat(b32(refG.x), make([]byte, 32)),
		slices.Concat(make([]byte, 32), b32(refG.y)),
		slices.Concat(make([]byte, 32), b32(small(1))),
		slices.Concat(b32(small(2)), b32(small(3))), // on y² = x³+1, a twist
		bytes.Repeat([]byte{0x5a}, 64),
	} {
		cases = append(cases, pointUses("B5", xy)...)
	}
	for x := range int64(12) { // about half of all X have no point
		for _, format := range []byte{2, 3} {
			cases = append(cases, newCase("B5", "parse", slices.Concat([]byte{format}, b32(small(x)))))
		}
	}
	for bit := range 8 { // one bit wrong
		flipped := slices.Clone(g[:])
		flipped[bit*8] ^= 1 << bit
		cases = append(cases, newCase("B5", "parse", flipped))
	}
	return cases
}

// B6: coordinates at or above P, some of which would be a point after reduction;
// X = P-1; Y negated.
func casesCoordinates() (cases []testCase) {
	one := refLift(small(1), 0)
	low := smallY()
	last := sub(refP, small(1))
	for _, xy := range [][]byte{
		slices.Concat(b32(plus(refP, one.x)), b32(one.y)), // X ≡ 1
		slices.Concat(b32(low.x), b32(plus(refP, low.y))), // Y ≡ that of a point
		low.keyBytes(),
		slices.Concat(b32(refP), b32(one.y)),
		slices.Concat(b32(one.x), b32(refP)),
		slices.Concat(b32(refP), b32(refP)),
		slices.Concat(b32(top), b32(one.y)),
		slices.Concat(b32(one.x), b32(top)),
		slices.Concat(b32(top), b32(top)),
		slices.Concat(b32(last), b32(one.y)),
		one.keyBytes(), one.negate().keyBytes(),
		refG.keyBytes(), refG.negate().keyBytes(),
	} {
		cases = append(cases, pointUses("B6", xy)...)
	}
	for _, x := range []*big.Int{last, sub(refP, small(2)), sub(refP, small(3)), refP, plus(refP, small(1)), plus(refP, small(2)), top, refN, sub(refN, small(1))} {
		for _, format := range []byte{2, 3} {
			cases = append(cases, newCase("B6", "parse", slices.Concat([]byte{format}, b32(x))))
		}
		if p := refLift(x, 0); p != nil {
			cases = append(cases, pointUses("B6", p.keyBytes())...)
		}
	}
	return cases
}

func (p *refPoint) keyBytes() []byte {
	key := p.key()
	return key[:]
}

// smallY returns a point whose Y is so small that Y+P fits in 32 bytes. The cube
// root of a is a^((P+2)/9) if there is one, because P is 7 modulo 9.
func smallY() *refPoint {
	exponent := new(big.Int).Div(plus(refP, small(2)), small(9))
	for y := int64(1); ; y++ {
		x := new(big.Int).Exp(mod(small(y*y-7), refP), exponent, refP)
		if p := (&refPoint{x, small(y)}); p.valid() {
			return p
		}
	}
}

// B7: format bytes and lengths.
func casesFormat() (cases []testCase) {
	g := refG.keyBytes()
	for _, format := range []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0x82, 0xfe, 0xff} {
		cases = append(cases,
			newCase("B7", "parse", []byte{format}),
			newCase("B7", "parse", slices.Concat([]byte{format}, g[:32])),
			newCase("B7", "parse", slices.Concat([]byte{format}, g)),
			newCase("B7", "parse", slices.Concat([]byte{format}, refG.negate().keyBytes())),
			newCase("B7", "parse", slices.Concat([]byte{format}, g[:62])),
			newCase("B7", "parse", slices.Concat([]byte{format}, g, g[:1])),
		)
	}
	for _, n := range []int{0, 31, 32, 34, 63, 66, 96, 97, 128, 130} {
		cases = append(cases, newCase("B7", "parse", bytes.Repeat([]byte{2}, n)))
	}
	return cases
}

// B8: every part of a signature out of range, at its limits, and in range but
// without a key.
func casesSignature() (cases []testCase) {
	good := refSign(secretA, digestA)
	pub := refG.mul(refSecret(secretA)).keyBytes()
	add := func(digest, r, s []byte, v byte) {
		cases = append(cases,
			newCase("B8", "recover", digest, slices.Concat(r, s, []byte{v})),
			newCase("B8", "verify", pub, digest, slices.Concat(r, s)))
	}
	r, s, v := good[:32], good[32:64], good[64]
	half := new(big.Int).Rsh(refN, 1)
	limits := []*big.Int{
		small(0), small(1), half, plus(half, small(1)), sub(refN, small(1)), refN, plus(refN, small(1)),
		sub(refP, small(1)), refP, top, power(255, 0),
		sub(refN, new(big.Int).SetBytes(s)), // high s, made of a good one
	}
	for _, n := range limits {
		for _, v := range []byte{v, v ^ 1} {
			add(digestA, b32(n), s, v)
			add(digestA, r, b32(n), v)
			add(digestA, b32(n), b32(n), v)
		}
	}
	for v := range 256 {
		cases = append(cases, newCase("B8", "recover", digestA, slices.Concat(r, s, []byte{byte(v)})))
	}
	// With bit 1 of v, X is r+N, which must stay below P: about 2^128 values.
	gap := sub(refP, refN)
	for _, d := range []int64{-3, -2, -1, 0, 1, 2} {
		for v := range byte(4) {
			add(digestA, b32(plus(gap, small(d))), s, v)
		}
	}
	for n := int64(1); n < 8; n++ {
		for v := range byte(4) {
			add(digestA, b32(small(n)), s, v)
		}
	}
	return append(cases, slices.Concat(casesInfinity(), casesWrappedX())...)
}

// casesInfinity are signatures in range that lead to the point at infinity.
func casesInfinity() (cases []testCase) {
	d, e := refSecret(secretA), new(big.Int).SetBytes(digestA)
	half := new(big.Int).Rsh(refN, 1)

	// s·R = e·G, so that recovery ends with 0·G.
	for k := int64(2); k < 6; k++ {
		nonce := refG.mul(small(k))
		s := mod(times(e, inverse(small(k), refN)), refN)
		if s.Cmp(half) > 0 {
			s, nonce = sub(refN, s), nonce.negate()
		}
		sig := slices.Concat(b32(nonce.x), b32(s), []byte{byte(nonce.y.Bit(0))})
		cases = append(cases, newCase("B8", "recover", digestA, sig))
	}
	// e = -r·d, so that verification ends with e/s·G + r/s·d·G = 0.
	for r := int64(1); r < 5; r++ {
		digest := mod(sub(refN, mod(times(small(r), d), refN)), refN)
		sig := slices.Concat(b32(small(r)), b32(small(r+6)))
		cases = append(cases, newCase("B8", "verify", refG.mul(d).keyBytes(), b32(digest), sig))
	}
	return cases
}

// casesWrappedX are good signatures whose nonce point has an X of N or more. No
// hash leads there by chance; they are made backwards, from r to the key.
func casesWrappedX() (cases []testCase) {
	for r := int64(1); r < 12; r++ {
		for v := range byte(4) {
			sig := slices.Concat(b32(small(r)), b32(small(1000+r)), []byte{v})
			pub := refRecover(digestA, sig)
			if pub == nil {
				continue
			}
			cases = append(cases,
				newCase("B8", "recover", digestA, sig),
				newCase("B8", "verify", pub.keyBytes(), digestA, sig[:64]))
		}
	}
	return cases
}

// The range of private keys.
func casesSecret() (cases []testCase) {
	for _, d := range []*big.Int{small(0), small(1), small(2), sub(refN, small(1)), refN, plus(refN, small(1)), refP, top} {
		cases = append(cases, newCase("secret", "private", b32(d)))
	}
	for _, n := range []int{0, 1, 31, 33, 64} {
		cases = append(cases, newCase("secret", "private", bytes.Repeat([]byte{1}, n)))
	}
	return cases
}

// edgeScalars are where recodings, tables and splittings of a multiplier have
// their ends. The last ones are the eigenvalue of the curve's endomorphism (a
// cube root of one modulo N) and its neighbours.
func edgeScalars() []*big.Int {
	half := new(big.Int).Rsh(refN, 1)
	scalars := []*big.Int{
		small(1), small(2), small(3), small(15), small(16), small(17), small(0xff), small(0x100),
		power(64, -1), power(64, 0), power(127, 0), power(128, -1), power(128, 0), power(128, 1),
		power(192, 0), power(252, 0), power(255, -1), power(255, 0),
		half, plus(half, small(1)), sub(refN, small(2)), sub(refN, small(1)), sub(refN, power(128, 0)),
	}
	third := new(big.Int).Div(sub(refN, small(1)), small(3))
	for base := int64(2); ; base++ {
		lambda := new(big.Int).Exp(small(base), third, refN)
		if lambda.Cmp(small(1)) != 0 {
			return append(scalars, sub(lambda, small(1)), lambda, plus(lambda, small(1)),
				sub(refN, lambda), plus(sub(refN, lambda), small(1)))
		}
	}
}

func casesEdge() (cases []testCase) {
	other := refG.mul(refSecret(digestA)).keyBytes()
	for _, k := range edgeScalars() {
		cases = append(cases,
			newCase("edge", "private", b32(k)),
			newCase("edge", "ecdh", b32(k), refG.keyBytes()),
			newCase("edge", "shared", b32(k), other),
			newCase("edge", "sign", b32(k), digestA))
	}
	for _, e := range []*big.Int{small(0), small(1), sub(refN, small(1)), refN, plus(refN, small(1)), plus(refN, small(7)), top} {
		sig := refSign(secretA, b32(e))
		cases = append(cases,
			newCase("edge", "sign", secretA, b32(e)),
			newCase("edge", "recover", b32(e), sig[:]),
			newCase("edge", "verify", refG.mul(refSecret(secretA)).keyBytes(), b32(e), sig[:64]))
	}
	return cases
}

func casesRandom() (cases []testCase) {
	random := rand.NewChaCha8([32]byte([]byte(strings.Repeat("agreement ", 4))))
	bytes32 := func() []byte {
		b := make([]byte, 32)
		random.Read(b)
		return b
	}
	for range 24 {
		secret, digest, noise := bytes32(), bytes32(), bytes32()
		pub := refG.mul(refSecret(secret)).keyBytes()
		sig := refSign(secret, digest)
		bent := sig
		bent[noise[0]%64] ^= 1 << (noise[1] % 8)
		cases = append(cases,
			newCase("random", "private", secret),
			newCase("random", "shared", noise, pub),
			newCase("random", "sign", secret, digest),
			newCase("random", "recover", digest, sig[:]),
			newCase("random", "recover", digest, bent[:]),
			newCase("random", "recover", noise, sig[:]),
			newCase("random", "verify", pub, digest, sig[:64]),
			newCase("random", "verify", pub, digest, bent[:64]),
			newCase("random", "verify", pub, noise, sig[:64]),
			newCase("random", "parse", slices.Concat([]byte{2 | noise[2]&1}, noise)))
	}
	return cases
}
