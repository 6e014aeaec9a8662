package rlpx

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/transcript.txt anew")

const transcriptFile = "testdata/transcript.txt"

// exchange plays a whole session of fixed keys and random values, and returns
// every piece that went over the wire, in order. Each is read by the other side.
func exchange(t *testing.T) []string {
	var lines []string
	add := func(name string, wire []byte) {
		lines = append(lines, name+" = "+hex.EncodeToString(wire))
	}
	ea, eb := pipe()
	da, db := testDraw(50), testDraw(60)
	add("initiator-auth", must(t)(sealAuth(keyA, keyB.Public(), da)))
	add("recipient-ack", must(t)(sealAck(keyA.Public(), db)))

	a, b := newConn(ea, nil), newConn(eb, nil)
	accepted := make(chan error, 1)
	go func() { accepted <- b.accept(keyB, func() (*draw, error) { return db, nil }, nil) }()
	if err := a.initiate(keyA, keyB.Public(), da); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	a.SetLimits(Limits{})
	b.SetLimits(Limits{})
	for _, step := range []struct {
		name    string
		snappy  bool
		code    uint64
		payload []byte
	}{
		{"hello", false, 0, append([]byte{0xcc}, "no such list"...)},
		{"ping", true, 2, []byte{0xc0}},
		{"block-size", true, 0x10, bytes.Repeat([]byte{7}, 15)},
		{"long", true, 0x1234, bytes.Repeat([]byte("0123456789abcdef"), 40)},
		{"again", true, 2, []byte{0xc0}},
	} {
		for side, c := range map[string][2]*Conn{"initiator": {a, b}, "recipient": {b, a}} {
			c[0].SetSnappy(step.snappy)
			c[1].SetSnappy(step.snappy)
			frame := must(t)(c[0].AppendMsg(nil, step.code, step.payload))
			add(side+"-"+step.name, frame)
			if _, err := c[0].NetConn().Write(frame); err != nil {
				t.Fatal(err)
			}
			m, err := c[1].ReadMsg()
			if err != nil || m.Code != step.code || !bytes.Equal(m.Payload, step.payload) {
				t.Fatalf("%s-%s came as %d, %x, %v", side, step.name, m.Code, m.Payload, err)
			}
		}
		slices.Sort(lines[len(lines)-2:]) // the directions are independent
	}
	return lines
}

func must(t *testing.T) func(b []byte, err error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// The bytes of a session are what they were when the golden file was made.
func TestTranscript(t *testing.T) {
	lines := exchange(t)
	if *update {
		text := "# A session of this package with fixed keys and random values, both directions.\n" +
			"# Written by go test -run TestTranscript -update; the keys are in the test.\n\n" +
			strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(transcriptFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden := vectors(t, transcriptFile)
	if len(golden) != len(lines) {
		t.Errorf("%d lines, golden file has %d", len(lines), len(golden))
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " = ")
		if want := fmt.Sprintf("%x", golden[name]); value != want {
			t.Errorf("%s = %.80s…, want %.80s…", name, value, want)
		}
	}
}
