package node

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"

	"parley/daemon/config"
	"parley/daemon/datadir"
	"parley/enode"
)

// A changeable is what a reloader changes; *p2p.Server is one.
type changeable interface {
	SetMaxPeers(n int, drop bool) error
	SetNetRestrict(prefixes ...netip.Prefix) error
	PauseDialing(yes bool) error
	AddPeer(n *enode.Node) error
	RemovePeer(n *enode.Node)
	AddTrustedPeer(n *enode.Node) error
	RemoveTrustedPeer(n *enode.Node)
}

// inForce is the part of a configuration that can change while the node runs.
type inForce struct {
	*config.Settings
	static, trusted []*enode.Node // with those of the files in the data directory
}

// A reloader applies a configuration that was read again. It is used by one goroutine.
type reloader struct {
	srv    changeable
	dir    *datadir.Dir
	log    *slog.Logger
	level  *slog.LevelVar
	setup  *setup
	report *reporter

	started *config.Loaded // what the other options have been since the start
	inForce inForce
}

// reload reads the configuration again and applies what can change while the node
// runs. It logs each change, and which ones wait for the next start. If anything in
// the configuration is wrong, nothing changes.
func (r *reloader) reload(load func() (*config.Loaded, error)) {
	loaded, err := load()
	for _, warning := range loaded.Warnings {
		r.log.Warn(warning)
	}
	next := inForce{Settings: &loaded.Settings}
	if err == nil {
		next.static, err = withFile(loaded.Settings.StaticPeers, r.dir, staticFile, r.log)
	}
	if err == nil {
		next.trusted, err = withFile(loaded.Settings.TrustedPeers, r.dir, trustedFile, r.log)
	}
	if err != nil {
		r.log.Error("The configuration is wrong and was not reloaded: nothing has changed", "err", err)
		return
	}
	changed := r.apply(next)
	waiting := r.waiting(loaded)
	if len(waiting) > 0 {
		r.log.Warn("Changes that need a restart", "options", waiting)
	}
	r.log.Info("Configuration reloaded", "changed", changed, "waiting", len(waiting))
}

// apply brings what can change from r.inForce to next, and returns how many options
// that were.
func (r *reloader) apply(next inForce) (changed int) {
	was := r.inForce
	did := func(option string, err error, attrs ...any) {
		changed++
		if err != nil {
			r.log.Error("Cannot change an option", "option", option, "err", err)
			return
		}
		r.log.Info("Option changed", append([]any{"option", option}, attrs...)...)
	}
	if was.LogLevel != next.LogLevel {
		// The one that says more is in force while this is told.
		r.level.Set(min(was.LogLevel, next.LogLevel))
		did("verbosity", nil, "from", was.LogLevel, "to", next.LogLevel)
		defer r.level.Set(next.LogLevel)
	}
	if was.MaxPeers != next.MaxPeers {
		did("maxpeers", r.srv.SetMaxPeers(maxPeers(next.Settings), true), "from", was.MaxPeers, "to", next.MaxPeers)
	}
	if !slices.Equal(was.NetRestrict, next.NetRestrict) {
		did("netrestrict", r.srv.SetNetRestrict(next.NetRestrict...), "from", was.NetRestrict, "to", next.NetRestrict)
	}
	if was.NoDial != next.NoDial && !r.started.Settings.NoDial {
		did("nodial", r.srv.PauseDialing(next.NoDial), "from", was.NoDial, "to", next.NoDial)
	}
	if added, removed := difference(was.trusted, next.trusted); len(added)+len(removed) > 0 {
		for _, n := range removed {
			r.srv.RemoveTrustedPeer(n)
		}
		did("trustedpeers", each(added, r.srv.AddTrustedPeer), "added", len(added), "removed", len(removed))
	}
	if added, removed := difference(was.static, next.static); len(added)+len(removed) > 0 {
		for _, n := range removed {
			r.srv.RemovePeer(n)
		}
		did("staticpeers", each(added, r.srv.AddPeer), "added", len(added), "removed", len(removed))
		r.report.watch(next.static)
	}
	r.inForce = next
	r.setup.replace(r.merged(next.Settings))
	return changed
}

// merged returns the settings that are in force: those of the start, but for what can
// change.
func (r *reloader) merged(next *config.Settings) *config.Settings {
	s := r.started.Settings
	s.MaxPeers, s.NetRestrict = next.MaxPeers, next.NetRestrict
	s.NoDial = s.NoDial || next.NoDial
	return &s
}

// waiting returns the names of the options that differ from what the node was started
// with and are not applied before the next start.
func (r *reloader) waiting(loaded *config.Loaded) []string {
	names := []string{}
	for i, v := range loaded.Values {
		switch v.Option.Name {
		case "verbosity", "maxpeers", "netrestrict", "trustedpeers", "staticpeers":
			continue
		case "nodial":
			if !r.started.Settings.NoDial {
				continue // a node that never dialed has nothing that could go on
			}
		}
		if v.Text != r.started.Values[i].Text {
			names = append(names, v.Option.Name)
		}
	}
	return names
}

// difference returns the nodes of next that were not among was, or not in this form,
// and those of was of which next has no form.
func difference(was, next []*enode.Node) (added, removed []*enode.Node) {
	for _, n := range next {
		if !slices.ContainsFunc(was, func(o *enode.Node) bool { return o.String() == n.String() }) {
			added = append(added, n)
		}
	}
	for _, o := range was {
		if !slices.ContainsFunc(next, func(n *enode.Node) bool { return n.ID() == o.ID() }) {
			removed = append(removed, o)
		}
	}
	return added, removed
}

// each does the same with all nodes and returns all errors.
func each(nodes []*enode.Node, do func(*enode.Node) error) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, do(n))
	}
	return errors.Join(errs...)
}
