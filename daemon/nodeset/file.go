// Package nodeset reads, writes, filters and counts sets of nodes: files called
// nodes.json, as crawlers write and publishers of DNS trees read them. The format
// itself is [dnsdisc.NodeSet].
package nodeset

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"parley/daemon/datadir"
	"parley/dnsdisc"
)

// Stdio is the name that stands for standard input and output.
const Stdio = "-"

// maxFile is the size of the largest file that is read, in bytes. A node takes
// about 700.
const maxFile = 256 << 20

// Read reads the set in the file at path, or in stdin if path is [Stdio]. Every
// record is verified. If there is no file, the error is [fs.ErrNotExist].
func Read(path string, stdin io.Reader) (dnsdisc.NodeSet, error) {
	name, in := path, stdin
	if path == Stdio {
		name = "standard input"
	} else {
		// Looked at first, because opening a pipe would wait for a writer.
		if info, err := os.Stat(path); err != nil {
			return nil, err
		} else if info.IsDir() {
			return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is a directory: name the file in it")}
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: it has more than %d bytes", name, maxFile)
	}
	set, err := dnsdisc.ParseNodeSet(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return set, nil
}

// Write writes the set to the file at path, whole or not at all, or to stdout if
// path is [Stdio].
func Write(path string, set dnsdisc.NodeSet, stdout io.Writer) error {
	text, err := set.AppendJSON(nil)
	if err != nil {
		return err
	}
	if path == Stdio {
		_, err := stdout.Write(text)
		return err
	}
	return datadir.Replace(path, text)
}
