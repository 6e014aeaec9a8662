module parley

go 1.26.0

require (
	github.com/cloudflare/circl v1.6.5
	github.com/golang/snappy v1.0.0
	github.com/huin/goupnp v1.3.1
	github.com/miekg/dns v1.1.73
	gitlab.com/yawning/secp256k1-voi v0.0.0-20230925100816-f2616030848b
	go.etcd.io/bbolt v1.5.0
	golang.org/x/crypto v0.58.0
	golang.org/x/net v0.60.0
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.3.0
)

require golang.org/x/sync v0.22.0 // indirect
