package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"parley/eth"
)

// items divides a list. Spaces around the commas do not count, nor do empty items.
func items(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func setBool(dst *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return errors.New("want true or false")
	}
	*dst = b
	return nil
}

func setInt(dst *int, v string, least, most int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return fmt.Errorf("want a number from %d to %d", least, most)
	}
	*dst = n
	return nil
}

func setPort(dst *uint16, v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return errors.New("want a port from 0 to 65535")
	}
	*dst = uint16(n)
	return nil
}

func setUint64(dst **uint64, v string) error {
	if v == "" {
		*dst = nil
		return nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return errors.New("want a number from 0 to 18446744073709551615")
	}
	*dst = &n
	return nil
}

func setOneOf(dst *string, v string, choices ...string) error {
	if !slices.Contains(choices, v) {
		return fmt.Errorf("want one of %s%s", strings.Join(choices, ", "), DidYouMean(v, choices))
	}
	*dst = v
	return nil
}

// setAddr takes an IP address, in brackets or not.
func setAddr(dst *string, v string) error {
	if v == "" {
		*dst = ""
		return nil
	}
	if v == "localhost" {
		v = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(strings.Trim(v, "[]"))
	if err != nil {
		return errors.New("want an IP address")
	}
	*dst = addr.String()
	return nil
}

func setVerbosity(s *Settings, v string) error {
	levels := []slog.Level{LevelCrit, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, LevelTrace}
	var n int
	if err := setInt(&n, v, 0, len(levels)-1); err != nil {
		return err
	}
	s.LogLevel = levels[n]
	return nil
}

func setGenesis(s *Settings, v string) error {
	s.Genesis = nil
	if v == "" {
		return nil
	}
	hash, err := eth.ParseHash(v)
	s.Genesis = &hash
	return err
}

func setForkID(s *Settings, v string) error {
	s.ForkID = nil
	if v == "" {
		return nil
	}
	id, err := eth.ParseForkID(v)
	s.ForkID = &id
	return err
}

func setHead(s *Settings, v string) error {
	s.Head = nil
	if v == "" {
		return nil
	}
	head, err := eth.ParseHead(v)
	s.Head = &head
	return err
}

func setProtocols(s *Settings, v string) error {
	s.Protocols = nil
	for _, item := range items(v) {
		version, err := strconv.ParseUint(strings.TrimPrefix(item, "eth/"), 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a version of eth, such as 69", clip(item))
		}
		if !slices.Contains(s.Protocols, uint(version)) {
			s.Protocols = append(s.Protocols, uint(version))
		}
	}
	return nil
}
