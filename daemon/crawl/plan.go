package crawl

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"parley/enode"
)

const (
	// answerSize is how many nodes an answer has at most, and a bucket of a table.
	// https://github.com/ethereum/devp2p/blob/master/discv5/discv5-wire.md#findnode-request-0x03
	answerSize = 16

	// cutSize is how many nodes make one believe that an answer is not the whole
	// truth: some of what was sent may have been refused.
	cutSize = 12

	// farthest and nearest bound the distances at which nodes are asked for. Beyond
	// nearest is one of 65,536 nodes, and whoever is there is known to others. With
	// v4 it is nearer, as it takes a thousand guesses to find a target there.
	farthest, nearest, nearestV4 = 256, 241, 247
)

// A plan is what to ask a node, so that it tells all nodes that it knows in few
// answers.
type plan struct {
	v4    bool
	steps []step
}

// A step is one question: for nodes at these distances.
type step struct {
	distances []uint
	repeated  bool
}

// newPlan returns the plan for a node of a network with about size nodes.
//
// With v5 the distances at which there are more nodes than an answer holds have a
// question each, the others share some. With v4 the first question is for those
// nearest to the node itself, distance 0 here; how many follow depends on how far
// that answer reaches.
func newPlan(v4 bool, size int) *plan {
	p := &plan{v4: v4}
	if v4 {
		p.steps = []step{{distances: []uint{0}}}
		return p
	}
	var group []uint
	var expected float64
	there := float64(size) / 2 // half of all nodes are at the farthest distance
	for d := uint(farthest); d >= nearest; d-- {
		if len(group) > 0 && expected+there > cutSize/2 {
			p.steps = append(p.steps, step{distances: group})
			group, expected = nil, 0
		}
		group = append(group, d)
		expected += there
		there /= 2
	}
	p.steps = append(p.steps, step{distances: group})
	return p
}

// answered goes on to what is to be asked after an answer, and reports whether
// there is anything.
func (p *plan) answered(id enode.ID, nodes []*enode.Node) bool {
	asked := p.steps[0].distances
	p.steps = p.steps[1:]
	switch {
	case p.v4 && len(nodes) < answerSize/2:
		p.steps = nil // an answer is filled with nodes at other distances, if there are any
	case p.v4 && asked[0] == 0:
		// All that are nearer than the farthest of these are known now.
		reach := 0
		for _, n := range nodes {
			reach = max(reach, enode.LogDistance(id, n.ID()))
		}
		for d := farthest; d >= max(reach, nearestV4); d-- {
			p.steps = append(p.steps, step{distances: []uint{uint(d)}})
		}
	case !p.v4 && len(nodes) >= cutSize && len(asked) > 1:
		half := (len(asked) + 1) / 2
		p.steps = slices.Insert(p.steps, 0, step{distances: asked[:half]}, step{distances: asked[half:]})
	}
	return len(p.steps) > 0
}

// failed goes on after a question that was not answered. It is repeated once, at
// the end.
func (p *plan) failed() bool {
	s := p.steps[0]
	p.steps = p.steps[1:]
	if !s.repeated {
		s.repeated = true
		p.steps = append(p.steps, s)
	}
	return len(p.steps) > 0
}

// maxGuesses bounds the search for a target: 16 times what it takes for the nearest
// distance.
const maxGuesses = 16 << (farthest - nearestV4 + 1)

// targetAt returns a key whose ID has the given distance from a node; for 0 the
// key of the node. Keys are tried until one fits, as their hash cannot be chosen.
func targetAt(rng *rand.Rand, n *enode.Node, distance uint) enode.PublicKey {
	target := n.PublicKey()
	if distance == 0 {
		return target
	}
	for range maxGuesses {
		word := rng.Uint64()
		for i := range 8 {
			target[i] = byte(bits.RotateLeft64(word, 8*i))
		}
		if enode.LogDistance(n.ID(), enode.PubkeyID(target)) == int(distance) {
			break
		}
	}
	return target
}
