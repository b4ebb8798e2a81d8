package binlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/mysqld"
)

// listOf is a list of GTIDs as MariaDB writes it, with a checksum behind it.
func listOf(all ...[3]uint32) []byte {
	e := binary.LittleEndian.AppendUint32([]byte{gtidListEvent}, uint32(len(all))|1<<29)
	for _, x := range all {
		e = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(e, x[0]), x[1])
		e = binary.LittleEndian.AppendUint64(e, uint64(x[2]))
	}
	return append(e, "sum!"...)
}

func beforeOf(file []byte) (string, error) {
	return before(bufio.NewReader(bytes.NewReader(file)), int64(len(file)))
}

func TestAFileSaysWhatWasBeforeIt(t *testing.T) {
	format := []byte{formatEvent, 1, 2, 3}
	if got, err := beforeOf(made(inUseFlag, format, listOf([3]uint32{0, 1, 14}, [3]uint32{7, 4294967295, 9}), mariadbGTID(15), query)); err != nil || got != "0-1-14,7-4294967295-9" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := beforeOf(made(0, format, listOf())); err != nil || got != "" {
		t.Errorf("the first file: %q, %v", got, err)
	}
	for name, file := range map[string][]byte{
		"empty": nil, "text": []byte("a text file"), "no list": made(0, format), "a file of MySQL": made(0, format, []byte{previousGTIDsEvent, 1, 2}, mysqlGTID(1)),
		"a list behind a transaction": made(0, format, mariadbGTID(3), query, listOf()), "a list that promises more than there is": made(0, format, listOf([3]uint32{0, 1, 1})[:12]),
		"a list without a number": made(0, format, []byte{gtidListEvent, 1}),
	} {
		if got, err := beforeOf(file); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// What is read is a set, or at least nothing else than numbers: a server id of 0 is for mysqld to refuse.
func FuzzBefore(f *testing.F) {
	f.Add(made(0, []byte{formatEvent}, listOf([3]uint32{0, 1, 14}, [3]uint32{1, 2, 3})))
	f.Add(made(0, []byte{formatEvent}, []byte{gtidListEvent, 255, 255, 255, 15, 1}))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := beforeOf(file)
		if err != nil && got != "" {
			t.Errorf("%q and %v", got, err)
		}
		if set, bad := mysqld.ParseGTIDSet(mysqld.MariaDB, got); err == nil && bad == nil && got == "" != set.IsEmpty() {
			t.Errorf("%q is %q", got, set)
		}
	})
}

// FuzzNames holds that an index, of relay logs or binary logs, names as many files as it has lines with something in them.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"./bin.000001\n/elsewhere/bin.000002\n\n", "relay-bin.999999\nrelay-bin.1000000\n", "", "\n", "no end", "a\r\nb", "../up\n", "\x00\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := 0
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" {
				want++
			}
		}
		all := names("/var/lib/mysql", text)
		if len(all) != want {
			t.Errorf("%q: %d files, want %d", text, len(all), want)
		}
		for _, path := range all {
			if !filepath.IsAbs(path) {
				t.Errorf("%q: %q is no whole path", text, path)
			}
		}
	})
}
