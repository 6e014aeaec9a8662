// Package secp holds the secp256k1 operations and the Keccak-256 hash that
// devp2p is built on: keys, ECDH, recoverable ECDSA signatures. It is the only
// package of this module that imports a curve library.
//
// Curve and encodings follow SEC 1 and SEC 2 (https://www.secg.org), ECDSA
// nonces RFC 6979 with SHA-256.
//
// # Back ends
//
// The curve arithmetic comes from one of two libraries, chosen when the program
// is built. Both give the same answer, byte for byte, to the same input, also
// where the input is hostile: testdata/agreement.txt is checked against each.
//
//   - By default gitlab.com/yawning/secp256k1-voi, in pure Go. It needs no C
//     compiler and works with CGO_ENABLED=0.
//   - With the build tag libsecp256k1, the C library of that name, found through
//     pkg-config. Its recovery and ecdh modules must be present.
//
// # What is guaranteed
//
// Whatever depends on a secret (key generation, ECDH, SharedPoint, Sign) runs
// in constant time, as far as the library promises it:
//
//   - secp256k1-voi documents its point and scalar operations as constant time
//     unless their name ends in Vartime, and this package calls those only on
//     public values (Recover, Verify). Its field and scalar arithmetic is
//     generated from formally verified code; the library as a whole has not
//     been audited. The claim holds on 64-bit machines only: elsewhere the
//     compiler builds 64-bit multiplication from pieces.
//   - libsecp256k1 is constant time by design and tested for it by its authors.
//     Generator multiplications (key generation, Sign) are blinded besides, with
//     a value drawn once for each process.
//
// Neither back end protects against somebody who reads the memory of the
// process, and no copy of a secret is wiped: the Go runtime may have moved it.
// Signatures are deterministic, so a machine that computes wrongly on purpose (a
// fault attack) is not defended against either.
//
// Every public key and signature is checked before arithmetic starts: lengths,
// ranges, and that the point lies on the curve. The curve has prime order, so
// there are no small subgroups to leak a key into. A key never shows in print.
package secp
