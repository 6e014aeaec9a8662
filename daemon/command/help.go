package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// Columns of a help text.
const (
	helpIndent = "   "
	helpWidth  = 100
)

// helpText returns what --help prints.
//
// A flag's Usage begins with the name of its value in backquotes, if it takes
// one, and names its default itself.
func helpText(c *cli.Command, parents []string) string {
	var b strings.Builder
	name := strings.Join(append(slices.Clip(parents), c.Name), " ")
	fmt.Fprintf(&b, "%s: %s\n\nusage: %[1]s", name, c.Usage)
	if len(c.Commands) > 0 {
		b.WriteString(" COMMAND")
	}
	if c.ArgsUsage != "" {
		b.WriteString(" " + c.ArgsUsage)
	}
	b.WriteString(" [flags]\n")
	if c.Description != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Description)
	}
	if len(c.Commands) > 0 {
		b.WriteString("\ncommands:\n")
		width := 10
		for _, below := range c.Commands {
			width = max(width, len(below.Name))
		}
		for _, below := range c.Commands {
			fmt.Fprintf(&b, "%s%-*s %s\n", helpIndent, width, below.Name, below.Usage)
		}
	}
	width := 0
	var categories []string
	byCategory := make(map[string][][2]string)
	for _, f := range append(slices.Clip(c.Flags), cli.HelpFlag) {
		category, row := flagRow(f)
		if byCategory[category] == nil {
			categories = append(categories, category)
		}
		byCategory[category] = append(byCategory[category], row)
		width = max(width, len([]rune(row[0])))
	}
	for _, category := range categories {
		fmt.Fprintf(&b, "\n%s:\n", category)
		for _, row := range byCategory[category] {
			writeRow(&b, width, row[0], row[1])
		}
	}
	return b.String()
}

// flagRow returns the category of a flag, and how it is written and what it does.
func flagRow(f cli.Flag) (category string, row [2]string) {
	category = "flags"
	if c, ok := f.(cli.CategorizableFlag); ok && c.GetCategory() != "" {
		category = c.GetCategory()
	}
	var names []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			names = append(names, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	row[0] = strings.Join(names, ", ")
	if f == cli.HelpFlag {
		row[1] = "print this text"
	} else if doc, ok := f.(cli.DocGenerationFlag); ok {
		row[1] = doc.GetUsage()
	}
	if rest, ok := strings.CutPrefix(row[1], "`"); ok {
		arg, usage, _ := strings.Cut(rest, "` ")
		row[0] += " " + arg
		row[1] = usage
	}
	return category, row
}

// writeRow writes the left text, and the right one beside it, broken into lines.
func writeRow(b *strings.Builder, width int, left, right string) {
	fmt.Fprintf(b, "%s%-*s ", helpIndent, width, left)
	column := len(helpIndent) + width + 1
	at := column
	for i, word := range strings.Fields(right) {
		n := len([]rune(word)) + 1
		if i > 0 && at+n > helpWidth {
			fmt.Fprintf(b, "\n%*s", column, "")
			at = column
		}
		b.WriteString(" " + word)
		at += n
	}
	b.WriteString("\n")
}
