//go:build libsecp256k1

package secp

// maxAllocs is what each operation may allocate with this back end: only a new
// key is on the heap.
var maxAllocs = map[string]float64{
	"GenerateKey": 3, "ParsePrivateKey": 3, "Sign": 0, "Keccak128": 0,
	"ECDH": 0, "SharedPoint": 0, "Recover": 0, "Verify": 0,
	"Parse33": 0, "Parse64": 0, "ParseBad": 0, "RecoverBad": 0,
}
