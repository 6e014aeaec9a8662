package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"parley/daemon/datadir"
)

// Sources are where values come from.
type Sources struct {
	Flags map[string]string // by option name: those given on the command line
	Env   []string          // as os.Environ returns it
	File  string            // path of a TOML file, or empty
}

// Loaded is the outcome of Load.
type Loaded struct {
	Settings Settings
	Values   []Value  // of every option, in the order of the table
	Warnings []string // what a person should hear of
}

// Load collects the value of every option, checks them, and reports all mistakes
// in one error.
func Load(src Sources) (*Loaded, error) {
	l := &Loaded{}
	options := Options()
	file := newFileValues()
	var errs []error
	if src.File != "" {
		if err := file.read(src.File, options); err != nil {
			errs = append(errs, err)
		}
		l.Warnings = append(l.Warnings, file.warnings...)
	}
	env, warnings := fromEnv(src.Env, options)
	l.Warnings = append(l.Warnings, warnings...)

	set := make(map[string]Value)
	for _, o := range options {
		v := Value{Option: o, Text: o.Default, Origin: DefaultOrigin}
		if text, ok := file.values[o.Name]; ok {
			v.Text, v.Origin = text, Origin("file "+src.File)
		}
		if text, ok := env[o.Name]; ok {
			v.Text, v.Origin = text, Origin("env "+o.Env())
		}
		if text, ok := src.Flags[o.Name]; ok {
			v.Text, v.Origin = text, Origin("flag --"+o.Name)
		}
		l.Values = append(l.Values, v)
		if v.Origin != DefaultOrigin {
			set[o.Name] = v
		}
		if v.Text == "" && v.Origin == DefaultOrigin {
			continue
		}
		if err := o.set(&l.Settings, v.Text); err != nil {
			errs = append(errs, &valueError{v, err})
		}
	}
	if len(errs) == 0 {
		errs = append(errs, l.Settings.check(set)...)
	}
	if err := errors.Join(errs...); err != nil {
		return l, err
	}
	return l, errors.Join(l.Settings.fillNetwork(), l.Settings.fillDataDir())
}

// fromEnv returns the values in the environment. An empty variable is as good as
// none; one with our prefix that no option has gets a warning.
func fromEnv(environ []string, options []*Option) (values map[string]string, warnings []string) {
	byEnv := make(map[string]string)
	for _, o := range options {
		byEnv[o.Env()] = o.Name
	}
	known := slices.Sorted(maps.Keys(byEnv))
	values = make(map[string]string)
	for _, variable := range environ {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvPrefix) || text == "" || name == envName("config") {
			continue
		}
		if option, ok := byEnv[name]; ok {
			values[option] = text
		} else {
			warnings = append(warnings, fmt.Sprintf("environment variable %s is not an option%s", clip(name), DidYouMean(name, known)))
		}
	}
	return values, warnings
}

// check looks for settings that contradict each other. set has those that
// somebody set.
func (s *Settings) check(set map[string]Value) (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	given := func(name string) bool { return set[name].Text != "" }

	if given("nodekey") && given("nodekeyhex") {
		fail("nodekey and nodekeyhex are both set: there is one key")
	}
	if s.Network != NetworkAny {
		for _, name := range []string{"networkid", "eth.genesis"} {
			if given(name) {
				fail("%s is set, but network = %s has its own: leave one of them out", name, s.Network)
			}
		}
	} else if (s.NetworkID == nil) != (s.Genesis == nil) {
		fail("a private network needs both networkid and eth.genesis")
	}
	if s.Mirror() {
		for _, name := range []string{"eth.forkid", "eth.head"} {
			if given(name) {
				fail("%s needs a network: set networkid and eth.genesis, or network", name)
			}
		}
	}
	if s.HTTPNoAuth {
		if addr, err := netip.ParseAddr(s.HTTPAddr); err != nil || !addr.IsLoopback() {
			fail("http.noauth is for loopback addresses: with http.addr = %q anybody could call", s.HTTPAddr)
		}
		if given("http.token") {
			fail("http.token and http.noauth contradict each other")
		}
	}
	return errs
}

// fillDataDir replaces an empty DataDir by the default one. As users of other
// clients expect, only the default directory has sub-folders for test networks.
func (s *Settings) fillDataDir() error {
	if s.DataDir != "" {
		return nil
	}
	dir, err := datadir.Default()
	if err != nil {
		return err
	}
	if s.Network == NetworkSepolia || s.Network == NetworkHoodi {
		dir = filepath.Join(dir, s.Network)
	}
	s.DataDir = dir
	return nil
}

// Socket returns the path of the IPC socket.
func (s *Settings) Socket() string { return datadir.Socket(s.DataDir, s.IPCPath) }
