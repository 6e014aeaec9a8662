package command

import (
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"parley/daemon/config"
)

// optionFlags returns the flags for the options of the table; with names, for
// those only.
func optionFlags(names ...string) []cli.Flag {
	flags := []cli.Flag{&cli.StringFlag{
		Name: "config", Category: "node", Usage: "`FILE` TOML file with options (PARLEY_CONFIG)",
	}}
	for _, o := range config.Options() {
		if len(names) > 0 && !slices.Contains(names, o.Name) {
			continue
		}
		usage := o.Usage
		if o.Kind != config.Bool && o.Default != "" {
			usage += " (default: " + o.Default + ")"
		}
		if o.Kind == config.Bool {
			flags = append(flags, &cli.BoolFlag{Name: o.Name, Category: o.Category, Usage: usage})
		} else {
			flags = append(flags, &cli.StringFlag{Name: o.Name, Category: o.Category, Usage: "`" + o.Arg + "` " + usage})
		}
	}
	return flags
}

// load collects the options for a command. Mistakes are the user's.
func (a *app) load(c *cli.Command) (*config.Loaded, error) {
	loaded, err := config.Load(a.sources(c))
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return loaded, nil
}

// sources returns where the options of a command come from.
func (a *app) sources(c *cli.Command) config.Sources {
	flags := make(map[string]string)
	for _, o := range config.Options() {
		switch {
		case !c.IsSet(o.Name):
		case o.Kind == config.Bool:
			flags[o.Name] = strconv.FormatBool(c.Bool(o.Name))
		default:
			flags[o.Name] = c.String(o.Name)
		}
	}
	src := config.Sources{Flags: flags, Env: a.Environ, File: c.String("config")}
	if src.File == "" {
		src.File = lookupEnv(a.Environ, config.EnvPrefix+"CONFIG")
	}
	return src
}

// lookupEnv returns the value of a variable, the last if there are several.
func lookupEnv(environ []string, name string) string {
	for _, variable := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}
