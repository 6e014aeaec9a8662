package config

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"parley/enode"
)

// Bounds of a list of nodes.
const (
	maxNodes    = 1000
	maxNodeFile = 1 << 20 // bytes
)

// setNodes takes a list of nodes, of files with nodes, or both.
func setNodes(dst *[]*enode.Node, list []string) error {
	*dst = nil
	for _, item := range list {
		if !looksLikeNode(item) {
			nodes, err := ReadNodes(strings.TrimPrefix(item, "file://"))
			if err != nil {
				return err
			}
			*dst = append(*dst, nodes...)
			continue
		}
		n, err := enode.Parse(item)
		if err != nil {
			return err
		}
		*dst = append(*dst, n)
	}
	if len(*dst) > maxNodes {
		return fmt.Errorf("%d nodes, at most %d", len(*dst), maxNodes)
	}
	return nil
}

// looksLikeNode tells a node from the path of a file.
func looksLikeNode(item string) bool {
	return strings.HasPrefix(item, "enode:") || strings.HasPrefix(item, "enr:") ||
		len(item) == 128 && strings.Trim(item, "0123456789abcdefABCDEF") == ""
}

// ReadNodes reads a file of nodes: a JSON array of URLs, as static-nodes.json is,
// or one URL a line, where what follows a # does not count.
func ReadNodes(path string) ([]*enode.Node, error) {
	text, err := readBounded(path, maxNodeFile)
	if err != nil {
		return nil, err
	}
	return parseNodes(path, text)
}

// parseNodes reads the text of the file at path.
func parseNodes(path string, text []byte) ([]*enode.Node, error) {
	var urls []string
	if trimmed := strings.TrimSpace(string(text)); strings.HasPrefix(trimmed, "[") {
		if err := json.Unmarshal(text, &urls); err != nil {
			return nil, fmt.Errorf("%s: want a JSON array of node URLs: %w", path, err)
		}
	} else {
		for line := range strings.Lines(trimmed) {
			line, _, _ = strings.Cut(line, "#")
			urls = append(urls, items(line)...)
		}
	}
	if len(urls) > maxNodes {
		return nil, fmt.Errorf("%s: %d nodes, at most %d", path, len(urls), maxNodes)
	}
	nodes := make([]*enode.Node, 0, len(urls))
	for i, url := range urls {
		n, err := enode.Parse(url)
		if err != nil {
			return nil, fmt.Errorf("%s: node %d: %w", path, i+1, err)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is not a file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d bytes", limit)}
	}
	return text, err
}
