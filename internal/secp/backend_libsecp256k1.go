//go:build libsecp256k1 && cgo

package secp

/*
#cgo pkg-config: libsecp256k1
#cgo noescape parley_public
#cgo nocallback parley_public
#cgo noescape parley_multiply
#cgo nocallback parley_multiply
#cgo noescape parley_sign
#cgo nocallback parley_sign
#cgo noescape parley_recover
#cgo nocallback parley_recover
#cgo noescape parley_verify
#cgo nocallback parley_verify
#cgo noescape parley_parse
#cgo nocallback parley_parse

#include <string.h>
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>

typedef const unsigned char in;
typedef unsigned char out;
typedef const secp256k1_context context;

// Each function below is one operation of the seam, so that it costs one call
// from Go. They return 1, or 0 where the seam says false.

static secp256k1_context *parley_context(in *seed32) {
	secp256k1_context *ctx = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
	if (ctx == NULL || !secp256k1_context_randomize(ctx, seed32)) {
		return NULL;
	}
	return ctx;
}

static void store(context *ctx, out *xy64, const secp256k1_pubkey *key) {
	unsigned char b[65];
	size_t size = sizeof b;
	secp256k1_ec_pubkey_serialize(ctx, b, &size, key, SECP256K1_EC_UNCOMPRESSED);
	memcpy(xy64, b + 1, 64);
}

static int load(context *ctx, secp256k1_pubkey *key, in *xy64) {
	unsigned char b[65];
	b[0] = 4;
	memcpy(b + 1, xy64, 64);
	return secp256k1_ec_pubkey_parse(ctx, key, b, sizeof b);
}

// Reads a key of any length and stores its coordinates.
static int parley_parse(context *ctx, out *xy64, in *b, size_t size) {
	secp256k1_pubkey key;
	if (!secp256k1_ec_pubkey_parse(ctx, &key, b, size)) {
		return 0;
	}
	store(ctx, xy64, &key);
	return 1;
}

static int parley_public(context *ctx, out *xy64, in *secret32) {
	secp256k1_pubkey key;
	if (!secp256k1_ec_pubkey_create(ctx, &key, secret32)) {
		return 0;
	}
	store(ctx, xy64, &key);
	return 1;
}

static int both_coordinates(out *xy64, in *x32, in *y32, void *data) {
	(void)data;
	memcpy(xy64, x32, 32);
	memcpy(xy64 + 32, y32, 32);
	return 1;
}

static int parley_multiply(context *ctx, out *xy64, in *secret32, in *pub64) {
	secp256k1_pubkey key;
	return load(ctx, &key, pub64) && secp256k1_ecdh(ctx, xy64, &key, secret32, both_coordinates, NULL);
}

static int parley_sign(context *ctx, out *rsv65, in *secret32, in *digest32) {
	secp256k1_ecdsa_recoverable_signature sig;
	int v = 0;
	if (!secp256k1_ecdsa_sign_recoverable(ctx, &sig, digest32, secret32, secp256k1_nonce_function_rfc6979, NULL)) {
		return 0;
	}
	secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, rsv65, &v, &sig);
	rsv65[64] = (unsigned char)v;
	return 1;
}

static int parley_recover(context *ctx, out *xy64, in *digest32, in *rsv65) {
	secp256k1_ecdsa_recoverable_signature sig;
	secp256k1_pubkey key;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, &sig, rsv65, rsv65[64]) ||
	    !secp256k1_ecdsa_recover(ctx, &key, &sig, digest32)) {
		return 0;
	}
	store(ctx, xy64, &key);
	return 1;
}

static int parley_verify(context *ctx, in *pub64, in *digest32, in *rs64) {
	secp256k1_ecdsa_signature sig;
	secp256k1_pubkey key;
	return load(ctx, &key, pub64) &&
	       secp256k1_ecdsa_signature_parse_compact(ctx, &sig, rs64) &&
	       secp256k1_ecdsa_verify(ctx, &sig, digest32, &key);
}
*/
import "C"

import (
	"crypto/rand"
	"unsafe"
)

// context holds the value that blinds generator multiplications. It is made when
// the program starts and only read afterwards, so all goroutines share it.
var context = newContext()

func newContext() *C.context {
	var seed [32]byte
	rand.Read(seed[:])
	ctx := C.parley_context(ptr(seed[:]))
	if ctx == nil {
		panic("secp: libsecp256k1 made no context")
	}
	return ctx
}

func publicOf(secret *[32]byte) PublicKey {
	var pub PublicKey
	must(C.parley_public(context, ptr(pub[:]), ptr(secret[:])))
	return pub
}

func multiply(secret *[32]byte, pub *PublicKey) (PublicKey, bool) {
	var point PublicKey
	ok := C.parley_multiply(context, ptr(point[:]), ptr(secret[:]), ptr(pub[:]))
	return point, ok == 1
}

func sign(secret, digest *[32]byte) Signature {
	var sig Signature
	must(C.parley_sign(context, ptr(sig[:]), ptr(secret[:]), ptr(digest[:])))
	return sig
}

func recoverKey(digest *[32]byte, sig *Signature) (PublicKey, bool) {
	var pub PublicKey
	ok := C.parley_recover(context, ptr(pub[:]), ptr(digest[:]), ptr(sig[:]))
	return pub, ok == 1
}

func verify(pub *PublicKey, digest *[32]byte, sig *[64]byte) bool {
	return C.parley_verify(context, ptr(pub[:]), ptr(digest[:]), ptr(sig[:])) == 1
}

func onCurve(pub *PublicKey) bool {
	b := [65]byte{4}
	copy(b[1:], pub[:])
	var same PublicKey
	return C.parley_parse(context, ptr(same[:]), ptr(b[:]), C.size_t(len(b))) == 1
}

func decompress(b *[33]byte) (PublicKey, bool) {
	var pub PublicKey
	ok := C.parley_parse(context, ptr(pub[:]), ptr(b[:]), C.size_t(len(b)))
	return pub, ok == 1
}

// ptr is the first byte of b, which is not empty, for a C function that does not
// keep it.
func ptr(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }

// must panics if C refused a secret that this package has found to be in range:
// the library is not the one whose header was compiled in.
func must(ok C.int) {
	if ok != 1 {
		panic("secp: libsecp256k1 refused a valid secret")
	}
}
