package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is the largest configuration file in bytes.
const maxFile = 1 << 20

// fileValues are the values of a TOML file, in text form by option name.
type fileValues struct {
	values   map[string]string
	warnings []string
	errs     []error
	options  map[string]*Option
}

func newFileValues() *fileValues {
	return &fileValues{values: make(map[string]string), options: make(map[string]*Option)}
}

// read reads the file at path: keys of ours, and those of geth's [Node] and
// [Node.P2P], which begin with a capital. Every key must be known.
func (f *fileValues) read(path string, options []*Option) error {
	for _, o := range options {
		f.options[o.Name] = o
	}
	text, err := readBounded(path, maxFile)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		if syntax, ok := errors.AsType[*toml.DecodeError](err); ok {
			row, column := syntax.Position()
			return fmt.Errorf("config: %s:%d:%d: %w", path, row, column, err)
		}
		return fmt.Errorf("config: %s: %w", path, err)
	}
	geth := make(map[string]any)
	for key, value := range tree {
		if key != "" && key[0] >= 'A' && key[0] <= 'Z' {
			geth[key] = value
			delete(tree, key)
		}
	}
	f.readGeth(geth)
	f.readTable("", tree)
	for i, err := range f.errs {
		f.errs[i] = fmt.Errorf("config: %s: %w", path, err)
	}
	return errors.Join(f.errs...)
}

// readTable takes the values of a table whose keys begin with prefix.
func (f *fileValues) readTable(prefix string, table map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		name, value := prefix+key, table[key]
		if inner, ok := value.(map[string]any); ok {
			f.readTable(name+".", inner)
			continue
		}
		// An option whose name is also a table's is the table's key enabled.
		if owner, ok := strings.CutSuffix(name, ".enabled"); ok && f.isTable(owner) {
			name = owner
		}
		o, ok := f.options[name]
		if !ok {
			f.errs = append(f.errs, fmt.Errorf("unknown key %s%s", clip(name), DidYouMean(name, slices.Sorted(maps.Keys(f.options)))))
			continue
		}
		f.set(o, name, value)
	}
}

// isTable reports whether there are options below name.
func (f *fileValues) isTable(name string) bool {
	for option := range f.options {
		if strings.HasPrefix(option, name+".") {
			return true
		}
	}
	return false
}

// set takes the value of one option. key is how the file calls it.
func (f *fileValues) set(o *Option, key string, value any) {
	text, ok := textOf(o.Kind, value)
	if !ok {
		want := map[Kind]string{Text: "a string", Bool: "true or false", Number: "a number", List: "an array of strings"}
		f.errs = append(f.errs, fmt.Errorf("%s: want %s", key, want[o.Kind]))
		return
	}
	f.values[o.Name] = text
}

// textOf returns a TOML value in text form, if it is of the kind.
func textOf(kind Kind, value any) (string, bool) {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v), kind == Bool
	case int64:
		return strconv.FormatInt(v, 10), kind == Number
	case string:
		return v, kind == Text || kind == List
	case []any:
		list := make([]string, len(v))
		for i, item := range v {
			switch item := item.(type) {
			case string:
				list[i] = item
			case int64:
				list[i] = strconv.FormatInt(item, 10)
			default:
				return "", false
			}
		}
		return strings.Join(list, ","), kind == List
	}
	return "", false
}
