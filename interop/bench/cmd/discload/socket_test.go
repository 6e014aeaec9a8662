package main

import "testing"

// The list has a line for each socket; numbers are hexadecimal but for the last.
func TestFindSocket(t *testing.T) {
	const list = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  417: 0100007F:765F 00000000:0000 07 00000000:00000A00 00:00000000 00000000     0        0 81000 2 0000000000000000 17
  418: 00000000:7660 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 81001 2 0000000000000000 3
  419: 0100007F:7661 00000000:0000 07 00000000:zz 00:00000000 00000000     0        0 81002 2 0000000000000000 0
`
	if s, err := findSocket(list, 30303); err != nil || s != (socketState{queued: 2560, drops: 17}) {
		t.Errorf("port 30303: %+v, %v; want 2560 bytes and 17 drops", s, err)
	}
	for port, why := range map[int]string{30304: "bound to another address", 30305: "a line that cannot be read", 30306: "not there"} {
		if s, err := findSocket(list, port); err == nil {
			t.Errorf("port %d, %s: %+v", port, why, s)
		}
	}
}
