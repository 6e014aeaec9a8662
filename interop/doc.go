// Package interop holds the tests of parley against other programs. They need
// the build tag interop and install what they drive:
//
//	GOWORK=off go test -tags interop -count=1 -timeout 40m ./...
package interop
