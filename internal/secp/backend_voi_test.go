//go:build !libsecp256k1

package secp

// maxAllocs is what each operation may allocate with this back end: the key
// itself, and the small objects that the library makes on the heap.
var maxAllocs = map[string]float64{
	"GenerateKey": 3, "ParsePrivateKey": 3, "Sign": 0, "Keccak128": 0,
	"ECDH": 6, "SharedPoint": 6, "Recover": 7, "Verify": 6,
	"Parse33": 2, "Parse64": 3, "ParseBad": 5, "RecoverBad": 0,
}
