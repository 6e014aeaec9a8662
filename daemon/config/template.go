package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template returns a TOML file with every option: its default, commented out,
// below a sentence that explains it.
func Template() string {
	var b strings.Builder
	b.WriteString("# Configuration of parley. Remove the # before what you want to change.\n" +
		"# Flags go before the environment, the environment before this file.\n")
	options := Options()
	file := newFileValues()
	for _, o := range options {
		file.options[o.Name] = o
	}
	// Keys outside of tables must come before the first table.
	table := func(o *Option) string {
		if file.isTable(o.Name) {
			return o.Name
		}
		name, _, ok := strings.Cut(o.Name, ".")
		if !ok {
			return ""
		}
		return name
	}
	slices.SortStableFunc(options, func(a, b *Option) int { return strings.Compare(table(a), table(b)) })
	last := ""
	for _, o := range options {
		t := table(o)
		if t != last {
			fmt.Fprintf(&b, "\n[%s]\n", t)
			last = t
		}
		key := "enabled"
		if o.Name != t {
			key = strings.TrimPrefix(o.Name, t+".")
		}
		fmt.Fprintf(&b, "\n# %s.\n# %s = %s\n", o.Usage, key, tomlText(o))
	}
	return b.String()
}

// tomlText returns the default of an option as TOML.
func tomlText(o *Option) string {
	switch o.Kind {
	case Bool:
		return o.Default
	case Number:
		if o.Default == "" {
			return "0"
		}
		return o.Default
	case List:
		quoted := []string{}
		for _, item := range items(o.Default) {
			quoted = append(quoted, strconv.Quote(item))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return strconv.Quote(o.Default)
}
