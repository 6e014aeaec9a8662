//go:build !purego

package keccak

import "golang.org/x/sys/cpu"

// eightAtOnce reports whether the processor can do what permuteEight does.
func eightAtOnce() bool { return cpu.X86.HasAVX512F }

// permuteEight is permute on eight states, lane i of state c at a[8*i+c]. It
// needs eightAtOnce.
func permuteEight(a *[200]uint64) { permuteAVX512(a, &constants) }

//go:noescape
func permuteAVX512(a *[200]uint64, constants *[24]uint64)
