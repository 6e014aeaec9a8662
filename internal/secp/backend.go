package secp

// backend is the seam between this package and a curve library: the functions
// that each back end defines at package level. It exists to say what they must
// do and to make the compiler compare their signatures; nothing calls through it.
//
// Callers of the seam have checked ranges already: a secret is in 1..N-1, r is in
// 1..N-1, s in 1..N/2, v in 0..3. Coordinates are checked by the back end. The
// pointers are not kept.
type backend struct {
	// publicOf returns secret·G. Constant time.
	publicOf func(secret *[32]byte) PublicKey

	// multiply returns secret·pub, or false if pub is not a point of the curve.
	// Constant time in secret.
	multiply func(secret *[32]byte, pub *PublicKey) (PublicKey, bool)

	// sign returns the RFC 6979 signature of a digest that is below N, with
	// s ≤ N/2. It cannot fail. Constant time in secret.
	sign func(secret, digest *[32]byte) Signature

	// recoverKey returns the key that made sig, or false if there is none.
	recoverKey func(digest *[32]byte, sig *Signature) (PublicKey, bool)

	// verify reports whether sig (r‖s) over digest was made by pub, which may be
	// any 64 bytes.
	verify func(pub *PublicKey, digest *[32]byte, sig *[64]byte) bool

	// onCurve reports whether pub is a point of the curve with both coordinates
	// below P. (0,0) is none.
	onCurve func(pub *PublicKey) bool

	// decompress returns the point of a SEC 1 compressed encoding, whose first
	// byte the caller has checked to be 2 or 3.
	decompress func(b *[33]byte) (PublicKey, bool)
}

var _ = backend{publicOf, multiply, sign, recoverKey, verify, onCurve, decompress}
