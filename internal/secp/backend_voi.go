//go:build !libsecp256k1

package secp

import curve "gitlab.com/yawning/secp256k1-voi"

func publicOf(secret *[32]byte) PublicKey {
	var d curve.Scalar
	var q curve.Point
	d.SetBytes(secret)
	return affine(q.ScalarBaseMult(&d))
}

func multiply(secret *[32]byte, pub *PublicKey) (PublicKey, bool) {
	var d curve.Scalar
	var q curve.Point
	if !setPoint(&q, pub) {
		return PublicKey{}, false
	}
	d.SetBytes(secret)
	return affine(q.ScalarMult(&d, &q)), true
}

// sign is SEC 1, section 4.1.3, with s negated where it would exceed N/2.
func sign(secret, digest *[32]byte) Signature {
	var d, e, k, r, s, t curve.Scalar
	var nonce curve.Point
	d.SetBytes(secret)
	e.SetBytes(digest)

	g := newNonces(secret, digest)
	for {
		candidate := g.next()
		k.SetBytes(&candidate)
		point := affine(nonce.ScalarBaseMult(&k))
		_, overflow := r.SetBytes((*[32]byte)(point[:32]))

		// s = (e + r·d) / k
		t.Multiply(&r, &d)
		t.Add(&t, &e)
		s.Multiply(s.Invert(&k), &t)
		if r.IsZero()|s.IsZero() != 0 {
			continue // has never been seen: one chance in 2^255
		}
		// -s goes with the nonce -k, whose point has the other Y.
		high := s.IsGreaterThanHalfN()
		s.ConditionalNegate(&s, high)

		var sig Signature
		copy(sig[:32], r.Bytes())
		copy(sig[32:], s.Bytes())
		sig[64] = byte(overflow)<<1 | point[63]&1 ^ byte(high)
		return sig
	}
}

// recoverKey is SEC 1, section 4.1.6: Q = (s·R - e·G) / r.
func recoverKey(digest *[32]byte, sig *Signature) (PublicKey, bool) {
	var e, r, s, u1, u2 curve.Scalar
	e.SetBytes(digest)
	r.SetBytes((*[32]byte)(sig[:32]))
	s.SetBytes((*[32]byte)(sig[32:64]))
	nonce, err := curve.RecoverPoint(&r, sig[64])
	if err != nil {
		return PublicKey{}, false
	}
	r.Invert(&r)
	u1.Negate(u1.Multiply(&e, &r))
	u2.Multiply(&s, &r)
	nonce.DoubleScalarMultBasepointVartime(&u1, &u2, nonce)
	if nonce.IsIdentity() != 0 {
		return PublicKey{}, false
	}
	return affine(nonce), true
}

// verify is SEC 1, section 4.1.4.
func verify(pub *PublicKey, digest *[32]byte, sig *[64]byte) bool {
	var e, r, s, u1, u2 curve.Scalar
	var q curve.Point
	if !setPoint(&q, pub) {
		return false
	}
	e.SetBytes(digest)
	r.SetBytes((*[32]byte)(sig[:32]))
	s.SetBytes((*[32]byte)(sig[32:]))
	s.Invert(&s)
	u1.Multiply(&e, &s)
	u2.Multiply(&r, &s)
	q.DoubleScalarMultBasepointVartime(&u1, &u2, &q)
	if q.IsIdentity() != 0 {
		return false
	}
	point := affine(&q)
	s.SetBytes((*[32]byte)(point[:32])) // X modulo N
	return s.Equal(&r) != 0
}

func onCurve(pub *PublicKey) bool {
	var q curve.Point
	return setPoint(&q, pub)
}

func decompress(b *[33]byte) (PublicKey, bool) {
	var q curve.Point
	if _, err := q.SetCompressedBytes(b[:]); err != nil {
		return PublicKey{}, false
	}
	return affine(&q), true
}

// setPoint sets q to pub, or reports false if it is not a point of the curve.
func setPoint(q *curve.Point, pub *PublicKey) bool {
	var b [65]byte
	b[0] = 4
	copy(b[1:], pub[:])
	_, err := q.SetUncompressedBytes(b[:])
	return err == nil
}

// affine returns the coordinates of a point that is not the one at infinity.
func affine(q *curve.Point) PublicKey { return PublicKey(q.UncompressedBytes()[1:]) }
