//go:build !amd64 || purego

package keccak

func eightAtOnce() bool { return false }

func permuteEight(*[200]uint64) { panic("keccak: eight at once on a processor that cannot") }
