package config

import (
	"embed"
	"fmt"
	"slices"

	"parley/dnsdisc"
)

// ofNetwork stands for what is known of the network in an option's value.
const ofNetwork = "network"

// listOfNetwork is where the addresses of a public network's nodes are published in
// DNS. All networks have one signer.
const listOfNetwork = "enrtree://AKA3AM6LPBYEUDMVNU3BSVQJ5AD45Y7YPOHJLEF6W26QOE4VTUDPE@all.%s.ethdisco.net"

//go:embed bootnodes/*.txt
var bootnodeFiles embed.FS

// known returns the public network whose nodes are to be asked first, or "": a
// private network shares none with a public one.
func (s *Settings) known() string {
	switch {
	case s.Mirror():
		return NetworkMainnet // where most nodes are; discovery has nodes of all networks
	case s.Network == NetworkAny:
		return ""
	}
	return s.Network
}

// fillNetwork puts what is known of the network where the options ask for it.
func (s *Settings) fillNetwork() error {
	if s.NoDiscover {
		s.DNSLists = nil
		return nil
	}
	network := s.known()
	if network == "" {
		return nil
	}
	if s.bootnodesOfNetwork {
		path := "bootnodes/" + network + ".txt"
		text, err := bootnodeFiles.ReadFile(path)
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		nodes, err := parseNodes(path, text)
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		s.Bootnodes = append(nodes, s.Bootnodes...)
	}
	if s.listsOfNetwork {
		link, err := dnsdisc.ParseLink(fmt.Sprintf(listOfNetwork, network))
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		if !slices.Contains(s.DNSLists, link) {
			s.DNSLists = append(s.DNSLists, link)
		}
	}
	return nil
}

// setBootnodes takes nodes and files, as setNodes does, and ofNetwork.
func setBootnodes(s *Settings, v string) error {
	list := items(v)
	s.bootnodesOfNetwork = slices.Contains(list, ofNetwork)
	return setNodes(&s.Bootnodes, slices.DeleteFunc(list, func(item string) bool { return item == ofNetwork }))
}

// maxLists is how many lists in DNS may be named.
const maxLists = 16

// setDNSLists takes URLs of lists in DNS, and ofNetwork.
func setDNSLists(s *Settings, v string) error {
	s.DNSLists, s.listsOfNetwork = nil, false
	for _, item := range items(v) {
		if item == ofNetwork {
			s.listsOfNetwork = true
			continue
		}
		link, err := dnsdisc.ParseLink(item)
		if err != nil {
			return fmt.Errorf("%q: %w; want enrtree://KEY@DOMAIN", clip(item), err)
		}
		if !slices.Contains(s.DNSLists, link) {
			s.DNSLists = append(s.DNSLists, link)
		}
	}
	if len(s.DNSLists) > maxLists {
		return fmt.Errorf("%d lists, at most %d", len(s.DNSLists), maxLists)
	}
	return nil
}
