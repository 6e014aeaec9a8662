// Package config is the one table of the daemon's options and the way from its
// sources to settings that have been checked.
//
// An option has one dotted name, and everything else follows from it:
// http.port is the flag --http.port, the environment variable PARLEY_HTTP_PORT
// and in a TOML file the key port of the table [http]. An option that is also the
// name of a table, as http is, is that table's key enabled. A flag goes before
// the environment, the environment before the file, the file before the default.
package config

import (
	"fmt"
	"strings"
)

// A Kind is the form of an option's values.
type Kind int

// The kinds of options.
const (
	Text   Kind = iota // any text
	Bool               // true or false
	Number             // a whole number, not negative
	List               // items with commas between them; an array in TOML
)

// An Option is one row of the table.
type Option struct {
	Name     string // dotted, as in a flag
	Category string // heading in the help
	Kind     Kind
	Default  string // in text form
	Arg      string // what the value is, for the help: FILE, PORT
	Usage    string // one sentence without a full stop
	Secret   bool   // not to be shown

	set func(s *Settings, text string) error
}

// Env returns the option's environment variable.
func (o *Option) Env() string { return envName(o.Name) }

// EnvPrefix begins the names of all environment variables of the daemon.
const EnvPrefix = "PARLEY_"

func envName(option string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(option))
}

// An Origin says where a value came from.
type Origin string

// DefaultOrigin is the Origin of values that nobody set.
const DefaultOrigin Origin = "default"

// A Value is the value of an option.
type Value struct {
	Option *Option
	Text   string // in text form
	Origin Origin
}

// A valueError is a mistake in the value of one option.
type valueError struct {
	value Value
	err   error
}

func (e *valueError) Error() string {
	if e.value.Option.Secret {
		return fmt.Sprintf("%s (from %s): %v", e.value.Option.Name, e.value.Origin, e.err)
	}
	return fmt.Sprintf("%s = %q (from %s): %v", e.value.Option.Name, clip(e.value.Text), e.value.Origin, e.err)
}

func (e *valueError) Unwrap() error { return e.err }

// clip shortens text that may be long and is somebody else's.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
