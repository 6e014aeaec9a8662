// Package rlpdiff holds parley/rlp against the rlp package of go-ethereum: the
// same bytes, the same verdict, the same value, and which is faster.
//
// Both packages read the same struct tags, so both decode into the same Go types.
// Where they are meant to differ, the table knownDifferences says why.
package rlpdiff
