//go:build libsecp256k1 && !cgo

package secp

// The tag asks for a C library, so a build without cgo must not fall back in
// silence. The name that does not exist is the error message.
var _ = the_build_tag_libsecp256k1_needs_CGO_ENABLED_1_and_a_C_compiler
