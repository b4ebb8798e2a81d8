package binlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// made is a file of events; each is its kind and the body behind the header.
func made(flags uint16, events ...[]byte) []byte {
	out := []byte(magic)
	for i, e := range events {
		h := make([]byte, headerLength)
		binary.LittleEndian.PutUint32(h, uint32(1000+i))
		h[4] = e[0]
		binary.LittleEndian.PutUint32(h[5:], 3)
		binary.LittleEndian.PutUint32(h[9:], uint32(headerLength+len(e)-1))
		if i == 0 {
			binary.LittleEndian.PutUint16(h[17:], flags)
		}
		out = append(append(out, h...), e[1:]...)
	}
	return out
}

func mysqlGTID(n uint64) []byte {
	e := append([]byte{gtidEventMySQL, 0}, "\x3f\xa8\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"...)
	return binary.LittleEndian.AppendUint64(e, n)
}

func mariadbGTID(n uint64) []byte {
	e := binary.LittleEndian.AppendUint64([]byte{gtidEventMariaDB}, n)
	return append(binary.LittleEndian.AppendUint32(e, 1), 0)
}

var query = []byte("\x02query with a body that is longer than what is read of a body, which is 25 bytes")

func all(t *testing.T, file []byte) ([]Transaction, File, error) {
	t.Helper()
	var got []Transaction
	f, err := read(bufio.NewReader(bytes.NewReader(file)), int64(len(file)), func(x Transaction) bool { got = append(got, x); return true })
	return got, f, err
}

func TestATransactionReachesToWhatDoesNotBelongToIt(t *testing.T) {
	format, query := []byte{formatEvent, 1, 2, 3}, query
	file := made(inUseFlag, format, []byte{previousGTIDsEvent}, mysqlGTID(5), query, query, mysqlGTID(6), query, []byte{rotateEvent, 9})
	q, first := int64(headerLength+len(query)-1), int64(len(magic)+headerLength+3+headerLength)
	g := int64(headerLength + 25)
	const uuid = "3fa80001-0203-0405-0607-08090a0b0c0d"
	want := []Transaction{{uuid + ":5", first, first + g + 2*q, 1002}, {uuid + ":6", first + g + 2*q, first + 2*g + 3*q, 1005}}
	got, f, err := all(t, file)
	if err != nil || !slices.Equal(got, want) || !f.InUse || f.Whole != int64(len(file)) || f.Size != f.Whole {
		t.Errorf("got %+v of %+v, %v; want %+v", got, f, err, want)
	}
	got, f, err = all(t, made(0, format, []byte{gtidListEvent}, mariadbGTID(8), query, []byte{checkpointEvent}, query))
	if err != nil || len(got) != 1 || got[0].GTID != "1-3-8..8" || got[0].End-got[0].Start != headerLength+13+q || f.InUse {
		t.Errorf("MariaDB: got %+v of %+v, %v", got, f, err)
	}
}

func TestATornEndIsNoPartOfATransaction(t *testing.T) {
	file := made(inUseFlag, []byte{formatEvent}, mysqlGTID(5), query)
	whole := int64(len(file))
	for _, cut := range []int{1, headerLength - 1, headerLength + 3} {
		torn := append(slices.Clone(file), made(0, query)[len(magic):][:cut]...)
		got, f, err := all(t, torn)
		if err != nil || len(got) != 1 || got[0].End != whole || f.Whole != whole || f.Size != int64(len(torn)) {
			t.Errorf("%d bytes of another event: got %+v of %+v, %v", cut, got, f, err)
		}
	}
}

func TestWhatCannotBeReadIsNoEmptyFile(t *testing.T) {
	short := made(0, []byte{formatEvent})
	short[len(magic)+9] = headerLength - 1
	for name, file := range map[string][]byte{
		"empty": nil, "text": []byte("a text file"), "encrypted by MySQL": []byte("\xfdbin and so on"),
		"encrypted by MariaDB": made(0, []byte{formatEvent}, []byte{startEncryptionEvent, 1}), "a length that cannot be": short,
	} {
		if got, f, err := all(t, file); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %+v of %+v, %v", name, got, f, err)
		}
	}
	if got, _, err := all(t, made(0, []byte{formatEvent}, []byte{taggedGTIDEvent, 1, 2}, query)); err != nil || len(got) != 1 || got[0].GTID != "" {
		t.Errorf("a tagged GTID: %+v, %v", got, err)
	}
}

func TestAnIndexNamesFilesBesideIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bin.index")
	if err := os.WriteFile(path, []byte("./bin.000001\n/elsewhere/bin.000002\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Index(path)
	if want := []string{filepath.Join(filepath.Dir(path), "bin.000001"), "/elsewhere/bin.000002"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := Index(path + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no index: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(made(inUseFlag, []byte{formatEvent}, mysqlGTID(5), query, mariadbGTID(6)))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		end := int64(len(magic))
		got, err := read(bufio.NewReader(bytes.NewReader(file)), int64(len(file)), func(x Transaction) bool {
			if x.Start < end || x.End <= x.Start || x.End > int64(len(file)) {
				t.Errorf("%+v overlaps or reaches out of %d bytes", x, len(file))
			}
			end = x.End
			return true
		})
		if err == nil && (got.Whole > int64(len(file)) || end > got.Whole) {
			t.Errorf("%+v of %d bytes", got, len(file))
		}
	})
}
