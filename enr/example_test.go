package enr_test

import (
	"errors"
	"fmt"
	"net/netip"

	"parley/enode"
	"parley/enr"
)

// A node publishes its endpoint; another reads it.
func Example() {
	key, err := enode.ParseKeyText([]byte("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"))
	if err != nil {
		fmt.Println(err)
		return
	}
	published, err := enr.Sign(key, 1, enr.IP(netip.MustParseAddr("127.0.0.1")), enr.UDP(30303))
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := enr.Parse(published.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	var ip enr.IP4
	var udp enr.UDP
	fmt.Println(record.Load(&ip), record.Load(&udp))
	fmt.Println(record.Len(), "bytes, seq", record.Seq(), netip.Addr(ip), udp)
	// Output:
	// <nil> <nil>
	// 134 bytes, seq 1 127.0.0.1 30303
}

// Entries of one's own need no type.
func ExampleWith() {
	key, err := enode.GenerateKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := enr.Sign(key, 1, enr.With("chat", []string{"en", "fr"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var languages []string
	fmt.Println(record.Load(enr.With("chat", &languages)), languages)
	err = record.Load(enr.With("games", &languages))
	fmt.Println(err, errors.Is(err, enr.ErrNotFound))
	// Output:
	// <nil> [en fr]
	// enr: entry "games": not in the record true
}
