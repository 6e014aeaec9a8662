// Package version tells which program this is.
package version

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// Number is the version of the program, as releases count it.
const Number = "0.1.0"

// String returns the version and what it was built from: build, as the one who
// built it calls it, or the commit if the compiler knows it.
func String(build string) string {
	if build = cmp.Or(build, Commit()); build != "" {
		return Number + " (" + build + ")"
	}
	return Number
}

// Commit returns the first 8 digits of the commit, or "" if the build did not
// record it.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(8, len(s.Value))]
		}
	}
	return ""
}

// Client returns the name that peers and API users see, in the form that is
// customary: Parley/identity/v0.1.0/linux-amd64/go1.26.0.
func Client(identity string) string {
	name := "Parley/"
	if identity != "" {
		name += identity + "/"
	}
	return name + "v" + Number + "/" + runtime.GOOS + "-" + runtime.GOARCH + "/" + runtime.Version()
}
