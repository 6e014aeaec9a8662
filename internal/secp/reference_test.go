package secp

import (
	"crypto/hmac"
	"crypto/sha256"
	"math/big"
	"slices"
)

// This file is the third opinion: SEC 1 and RFC 6979 written down with math/big,
// formula by formula, slow and in variable time. Both back ends are compared
// with it, so that they cannot be wrong in the same way.

var (
	refP = number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")
	refN = number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	refG = &refPoint{
		number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
	}
)

func number(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("not a number: " + hex)
	}
	return n
}

// refPoint is an affine point; nil is the point at infinity.
type refPoint struct{ x, y *big.Int }

func mod(n, m *big.Int) *big.Int     { return n.Mod(n, m) }
func plus(a, b *big.Int) *big.Int    { return new(big.Int).Add(a, b) }
func sub(a, b *big.Int) *big.Int     { return new(big.Int).Sub(a, b) }
func times(a, b *big.Int) *big.Int   { return new(big.Int).Mul(a, b) }
func inverse(a, m *big.Int) *big.Int { return new(big.Int).ModInverse(a, m) }

// rhs is x³+7.
func rhs(x *big.Int) *big.Int { return mod(plus(times(times(x, x), x), big.NewInt(7)), refP) }

func (p *refPoint) valid() bool {
	return p.x.Cmp(refP) < 0 && p.y.Cmp(refP) < 0 && mod(times(p.y, p.y), refP).Cmp(rhs(p.x)) == 0
}

func (p *refPoint) negate() *refPoint {
	if p == nil {
		return nil
	}
	return &refPoint{p.x, mod(sub(refP, p.y), refP)}
}

// add is SEC 1, section 2.2.1.
func (p *refPoint) add(q *refPoint) *refPoint {
	if p == nil {
		return q
	}
	if q == nil {
		return p
	}
	var slope *big.Int
	switch {
	case p.x.Cmp(q.x) != 0:
		slope = times(sub(q.y, p.y), inverse(mod(sub(q.x, p.x), refP), refP))
	case p.y.Cmp(q.y) == 0: // no point has y = 0
		slope = times(times(big.NewInt(3), times(p.x, p.x)), inverse(times(big.NewInt(2), p.y), refP))
	default:
		return nil
	}
	x := mod(sub(sub(times(slope, slope), p.x), q.x), refP)
	y := mod(sub(times(slope, sub(p.x, x)), p.y), refP)
	return &refPoint{x, y}
}

func (p *refPoint) mul(k *big.Int) *refPoint {
	var sum *refPoint
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = sum.add(sum)
		if k.Bit(i) == 1 {
			sum = sum.add(p)
		}
	}
	return sum
}

func (p *refPoint) key() (pub PublicKey) {
	p.x.FillBytes(pub[:32])
	p.y.FillBytes(pub[32:])
	return pub
}

// refLift returns the point with that X and oddness of Y, or nil.
func refLift(x *big.Int, odd uint) *refPoint {
	if x.Cmp(refP) >= 0 {
		return nil
	}
	y := new(big.Int).ModSqrt(rhs(x), refP)
	if y == nil {
		return nil
	}
	if y.Bit(0) != odd {
		y = sub(refP, y)
	}
	return &refPoint{x, y}
}

// refParse is ParsePublicKey. It returns nil for what must be refused.
func refParse(b []byte) *refPoint {
	switch {
	case len(b) == 33 && (b[0] == 2 || b[0] == 3):
		return refLift(new(big.Int).SetBytes(b[1:]), uint(b[0]&1))
	case len(b) == 65 && b[0] == 4:
		b = b[1:]
	case len(b) != 64:
		return nil
	}
	p := &refPoint{new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:])}
	if !p.valid() {
		return nil
	}
	return p
}

// refSecret returns nil for what is not in 1..N-1.
func refSecret(b []byte) *big.Int {
	d := new(big.Int).SetBytes(b)
	if len(b) != 32 || d.Sign() == 0 || d.Cmp(refN) >= 0 {
		return nil
	}
	return d
}

func refHMAC(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(slices.Concat(parts...))
	return h.Sum(nil)
}

// refNonces is RFC 6979, section 3.2: the first n candidates.
func refNonces(secret, digest []byte, n int) [][]byte {
	k, v := make([]byte, 32), make([]byte, 32)
	for i := range v {
		v[i] = 1
	}
	k = refHMAC(k, v, []byte{0}, secret, digest)
	v = refHMAC(k, v)
	k = refHMAC(k, v, []byte{1}, secret, digest)
	v = refHMAC(k, v)
	var candidates [][]byte
	for range n {
		v = refHMAC(k, v)
		candidates = append(candidates, v)
		k = refHMAC(k, v, []byte{0})
		v = refHMAC(k, v)
	}
	return candidates
}

// refSign is SEC 1, section 4.1.3, with low s.
func refSign(secret, digest []byte) (sig Signature) {
	d, e := refSecret(secret), mod(new(big.Int).SetBytes(digest), refN)
	k := new(big.Int).SetBytes(refNonces(secret, e.FillBytes(make([]byte, 32)), 1)[0])
	p := refG.mul(k)
	r := new(big.Int).Mod(p.x, refN)
	s := mod(times(plus(e, times(r, d)), inverse(k, refN)), refN)
	v := byte(p.y.Bit(0))
	if p.x.Cmp(refN) >= 0 {
		v |= 2
	}
	if negated := sub(refN, s); negated.Cmp(s) < 0 {
		s, v = negated, v^1
	}
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:64])
	sig[64] = v
	return sig
}

// refScalars returns r and s, or nil if one is out of range or s is above N/2.
func refScalars(sig []byte) (r, s *big.Int) {
	r, s = refSecret(sig[:32]), refSecret(sig[32:64])
	if r == nil || s == nil || plus(s, s).Cmp(refN) > 0 {
		return nil, nil
	}
	return r, s
}

// refNoncePoint is steps 1.1 to 1.3 of SEC 1, section 4.1.6.
func refNoncePoint(r *big.Int, v byte) *refPoint {
	if v > 3 {
		return nil
	}
	if v&2 != 0 {
		r = plus(r, refN)
	}
	return refLift(r, uint(v&1))
}

// refRecover is SEC 1, section 4.1.6. It returns nil for what must be refused.
func refRecover(digest, sig []byte) *refPoint {
	r, s := refScalars(sig)
	if r == nil {
		return nil
	}
	nonce := refNoncePoint(r, sig[64])
	if nonce == nil {
		return nil
	}
	e := mod(new(big.Int).SetBytes(digest), refN)
	return nonce.mul(s).add(refG.mul(e).negate()).mul(inverse(r, refN))
}

// refVerify is SEC 1, section 4.1.4, with low s.
func refVerify(pub, digest, sig []byte) bool {
	q := refParse(pub)
	r, s := refScalars(sig)
	if q == nil || r == nil {
		return false
	}
	e, w := new(big.Int).SetBytes(digest), inverse(s, refN)
	p := refG.mul(mod(times(e, w), refN)).add(q.mul(mod(times(r, w), refN)))
	return p != nil && new(big.Int).Mod(p.x, refN).Cmp(r) == 0
}
