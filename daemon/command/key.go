package command

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/urfave/cli/v3"

	"parley/daemon/datadir"
	"parley/enode"
	"parley/enr"
)

func (a *app) keyCommand() *cli.Command {
	endpoint := func() []cli.Flag {
		return []cli.Flag{
			&cli.StringFlag{Name: "ip", Value: "127.0.0.1", Usage: "`IP` address of the node (default: 127.0.0.1)"},
			&cli.Uint16Flag{Name: "tcp", Value: 30303, Usage: "`PORT` TCP port (default: 30303)"},
			&cli.Uint16Flag{Name: "udp", Value: 30303, Usage: "`PORT` UDP port (default: 30303)"},
			jsonFlag(),
		}
	}
	return &cli.Command{
		Name:  "key",
		Usage: "make node keys and tell what follows from them",
		Commands: []*cli.Command{{
			Name: "generate", Usage: "make a new node key", ArgsUsage: "FILE",
			Description: "The file must not exist; only you can read it.",
			Flags:       []cli.Flag{jsonFlag()}, Action: a.keyGenerate,
		}, {
			Name: "to-id", Usage: "print the node id of a key", ArgsUsage: "FILE",
			Flags: []cli.Flag{jsonFlag()}, Action: a.keyToID,
		}, {
			Name: "to-enode", Usage: "print the enode URL of a node with this key", ArgsUsage: "FILE",
			Flags: endpoint(), Action: a.keyToEnode,
		}, {
			Name: "to-enr", Usage: "print a signed record of a node with this key", ArgsUsage: "FILE",
			Flags: endpoint(), Action: a.keyToENR,
		}},
	}
}

// aboutKey is what --json prints about a key: never the key.
type aboutKey struct {
	File      string `json:"file"`
	ID        string `json:"id"`        // 64 hex digits
	PublicKey string `json:"publicKey"` // 128 hex digits
	Enode     string `json:"enode,omitempty"`
	ENR       string `json:"enr,omitempty"`
}

func about(file string, key *enode.PrivateKey) aboutKey {
	pub := key.Public()
	return aboutKey{File: file, ID: enode.PubkeyID(pub).String(), PublicKey: hex.EncodeToString(pub[:])}
}

func (a *app) keyGenerate(_ context.Context, c *cli.Command) error {
	path, err := oneArg(c)
	if err != nil {
		return err
	}
	key, err := datadir.NewKey(path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is: choose another name", path)
	}
	if err != nil {
		return err
	}
	result := about(path, key)
	return a.print(c, result, result.ID)
}

func (a *app) keyToID(_ context.Context, c *cli.Command) error {
	result, _, err := readKeyArg(c)
	if err != nil {
		return err
	}
	return a.print(c, result, result.ID)
}

func (a *app) keyToEnode(_ context.Context, c *cli.Command) error {
	result, key, ip, err := readEndpointArgs(c)
	if err != nil {
		return err
	}
	result.Enode = enode.NewV4(key.Public(), ip, c.Uint16("tcp"), c.Uint16("udp")).URL()
	return a.print(c, result, result.Enode)
}

func (a *app) keyToENR(_ context.Context, c *cli.Command) error {
	result, key, ip, err := readEndpointArgs(c)
	if err != nil {
		return err
	}
	record, err := enr.Sign(key, 1, endpointEntries(ip, c.Uint16("tcp"), c.Uint16("udp"))...)
	if err != nil {
		return err
	}
	result.ENR = record.String()
	return a.print(c, result, result.ENR)
}

// endpointEntries returns the record entries for an address and its ports. A port
// of 0 is left out.
func endpointEntries(ip netip.Addr, tcp, udp uint16) (entries []enr.Entry) {
	if ip.Is4() {
		entries = append(entries, enr.IP4(ip))
		if tcp != 0 {
			entries = append(entries, enr.TCP(tcp))
		}
		if udp != 0 {
			entries = append(entries, enr.UDP(udp))
		}
		return entries
	}
	entries = append(entries, enr.IP6(ip))
	if tcp != 0 {
		entries = append(entries, enr.TCP6(tcp))
	}
	if udp != 0 {
		entries = append(entries, enr.UDP6(udp))
	}
	return entries
}

// readKeyArg reads the key whose file is the argument.
func readKeyArg(c *cli.Command) (aboutKey, *enode.PrivateKey, error) {
	path, err := oneArg(c)
	if err != nil {
		return aboutKey{}, nil, err
	}
	key, err := datadir.ReadKey(path)
	if err != nil {
		return aboutKey{}, nil, err
	}
	return about(path, key), key, nil
}

// readEndpointArgs is readKeyArg with the address of the node.
func readEndpointArgs(c *cli.Command) (result aboutKey, key *enode.PrivateKey, ip netip.Addr, err error) {
	if result, key, err = readKeyArg(c); err == nil {
		ip, err = ipFlag(c)
	}
	return result, key, ip, err
}

func ipFlag(c *cli.Command) (netip.Addr, error) {
	ip, err := netip.ParseAddr(c.String("ip"))
	if err != nil || ip.Zone() != "" {
		return ip, usagef("--ip %q is not an IP address", c.String("ip"))
	}
	return ip.Unmap(), nil
}
