package nodes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Shape describes a JSON value by the paths and types in it, sorted, such as
// ".network.inbound boolean". Elements of an array share a path that ends in [].
// Two programs whose results have the same shape can be read by the same script.
func Shape(text json.RawMessage) ([]string, error) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("nodes: shape: %w", err)
	}
	found := make(map[string]bool)
	shape(found, "", v)
	return slices.Sorted(maps.Keys(found)), nil
}

func shape(found map[string]bool, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			shape(found, path+"."+key, value)
		}
	case []any:
		for _, value := range v {
			shape(found, path+"[]", value)
		}
	case string:
		found[path+" string"] = true
	case float64:
		found[path+" number"] = true
	case bool:
		found[path+" boolean"] = true
	case nil:
		found[path+" null"] = true
	}
}
