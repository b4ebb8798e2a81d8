package discovery

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// golden is bytes that nodes of other versions send and expect.
func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func exampleMeta() Meta {
	return Meta{API: "10.0.0.1:7450", Role: "server", Zone: "eu-1", Version: "0.1.0"}
}

func TestMetadataHasItsWireFormat(t *testing.T) {
	const l = life(0x0102030405060708)
	raw, err := exampleMeta().encode("s1", l)
	if err != nil {
		t.Fatal(err)
	}
	if want := golden(t, "meta-v1.hex"); string(raw) != want {
		t.Errorf("wrote %x, want %x", raw, want)
	}
	m, gotLife, err := decodeMeta(raw)
	if err != nil || m != exampleMeta() || gotLife != l {
		t.Errorf("read %+v, %x, %v", m, gotLife, err)
	}
}

func TestNoticeHasItsWireFormat(t *testing.T) {
	raw := encodeLeave("db1", 0x0102030405060708)
	if want := golden(t, "leave-v1.hex"); string(raw) != want {
		t.Errorf("wrote %x, want %x", raw, want)
	}
	name, l, err := decodeLeave(raw)
	if err != nil || name != "db1" || l != 0x0102030405060708 {
		t.Errorf("read %q, %x, %v", name, l, err)
	}
}

func TestForeignBytesAreErrors(t *testing.T) {
	good, err := exampleMeta().encode("s1", 1)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range good {
		if _, _, err := decodeMeta(good[:cut]); err == nil {
			t.Errorf("metadata cut at %d was read", cut)
		}
	}
	newer := append([]byte{wireVersion + 1}, good[1:]...)
	for name, b := range map[string][]byte{
		"newer version": newer, "bytes left over": append(good, 0), "too long": make([]byte, metaMax+1),
		"length beyond the end": append(good[:9:9], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
	} {
		if _, _, err := decodeMeta(b); err == nil {
			t.Errorf("%s: metadata was read", name)
		}
	}
	notice := encodeLeave("db1", 1)
	unknown := append([]byte(nil), notice...)
	unknown[9]++
	for name, b := range map[string][]byte{"no name": notice[:10], "bad name": encodeLeave("DB 1", 1), "unknown kind": unknown, "newer version": newer} {
		if _, _, err := decodeLeave(b); err == nil {
			t.Errorf("%s: the notice was read", name)
		}
	}
}

// See padding for why it matters.
func TestSimilarNodesDifferInLength(t *testing.T) {
	for _, prefix := range []string{"s", "db", "app-eu-"} {
		lengths := make(map[int]string)
		for _, last := range "0123456789" {
			name := prefix + string(last)
			raw, err := exampleMeta().encode(name, 1)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := lengths[len(raw)]; ok {
				t.Errorf("%s and %s have metadata of %d bytes", name, other, len(raw))
			}
			lengths[len(raw)] = name
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	raw, err := exampleMeta().encode("s1", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, l, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := m.encode("s1", l)
		if err != nil {
			return // with another padding it may be too long
		}
		if m2, l2, err := decodeMeta(again); err != nil || m2 != m || l2 != l {
			t.Errorf("%+v was written and read as %+v, %v", m, m2, err)
		}
	})
}

func FuzzDecodeLeave(f *testing.F) {
	f.Add(encodeLeave("db1", 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, l, err := decodeLeave(b)
		if err == nil && string(encodeLeave(name, l)) != string(b) {
			t.Errorf("%x was read as %q, %x", b, name, l)
		}
	})
}
