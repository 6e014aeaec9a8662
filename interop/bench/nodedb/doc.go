// Package nodedb holds benchmarks of the reference's node database.
package nodedb
