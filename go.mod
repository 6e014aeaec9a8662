module parley

go 1.26.0

require (
	github.com/golang/snappy v1.0.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
