package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"
)

func record(id uint64, size uint32, next int64) []byte {
	b := make([]byte, oracleRecord)
	binary.LittleEndian.PutUint64(b[4:], id)
	binary.LittleEndian.PutUint32(b[12:], size)
	binary.LittleEndian.PutUint64(b[16:], uint64(next)) //nolint:gosec // as it is written
	return b
}

func TestReadTrace(t *testing.T) {
	want := []request{{7, 100}, {8, 0}, {7, 100}}
	ids := []request{{7, 1}, {1 << 31, 1}}
	text := []byte("1 7 100\n2 8 0 304\n\n3 7 100 200 more\n")
	oracle := bytes.Join([][]byte{record(7, 100, 2), record(8, 0, math.MaxInt64), record(7, 100, -1)}, nil)
	for _, tt := range []struct {
		name, format string
		data         []byte
		want         []request
	}{
		{"text", "text", text, want},
		{"text.gz", "text", gzipped(t, text), want},
		{"text.xz", "text", xzipped(t, text), want},
		{"oracle.bin", "oracle", oracle, want},
		{"oracle.bin.xz", "oracle", xzipped(t, oracle), want},
		{"ids", "int32", []byte{0, 0, 0, 7, 128, 0, 0, 0}, ids},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readTrace(written(t, tt.name, tt.data), tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(request{})); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadTrace(t *testing.T) {
	oracle := record(7, 100, 2)
	for _, tt := range []struct {
		name, format string
		data         []byte
		want         string
	}{
		{"empty", "text", nil, "there is no request in it"},
		{"a format of no name", "csv", nil, `format "csv" is not known: it is text, oracle, int32 or tragen`},
		{"two fields", "text", []byte("1 2 3\n1 2\n"), "line 2 has 2 fields"},
		{"an id of letters", "text", []byte("1 two 3\n"), `line 1: the id "two" is not a number`},
		{"a size below zero", "text", []byte("1 2 -3\n"), `line 1: "-3" is not a size`},
		{"a size beyond anything", "text", []byte("1 2 99999999999999\n"), `line 1: "99999999999999" is not a size`},
		{"a line without an end", "text", append([]byte("1 2 3\n"), make([]byte, 1<<20)...), "line 2: "},
		{"a record cut off", "oracle", append(oracle, oracle[:20]...), "record 2, at octet 24, is cut off: 20 of 24 octets"},
		{"a next access that cannot be", "oracle", record(7, 100, -5), "record 1: the next access -5 is absurd"},
		{"text for records", "oracle", []byte("1531234567 123 45678 200\n1531234567"), "record 1: the next access"},
		{"an id cut off", "int32", []byte{0, 0, 0, 1, 0}, "record 2, at octet 4, is cut off: 1 of 4 octets"},
		{"not.gz", "text", []byte("1 2 3\n"), "not compressed with gzip, as its name says"},
		{"not.xz", "text", []byte("1 2 3\n1 2 3\n1 2 3\n"), "not compressed with xz, as its name says"},
		{"torn.gz", "text", gzipped(t, []byte("1 2 3\n"))[:20], "unexpected EOF"},
		{"torn.xz", "text", xzipped(t, []byte("1 2 3\n"))[:40], "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := written(t, tt.name, tt.data)
			_, err := readTrace(name, tt.format)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if tt.format != "csv" && !strings.Contains(err.Error(), name) {
				t.Errorf("error %v does not name the file", err)
			}
		})
	}
	if _, err := readTrace(filepath.Join(t.TempDir(), "none"), "text"); err == nil {
		t.Error("a file that is not there was read")
	}
}

// FuzzFormats reads anything as anything: an error or requests that can be replayed.
func FuzzFormats(f *testing.F) {
	f.Add([]byte("1 2 3\n4 5 6\n"))
	f.Add(record(7, 100, 2))
	f.Add([]byte{0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, read := range formats() {
			trace, err := read(bufio.NewReader(bytes.NewReader(data)))
			if err == nil && len(data) > 64 && len(trace) == 0 && len(bytes.TrimSpace(data)) > 0 {
				t.Errorf("%s: %d octets are a trace of nothing", name, len(data))
			}
			for _, q := range trace {
				if q.size < 0 || q.size > maxSize {
					t.Errorf("%s: a size of %d", name, q.size)
				}
			}
		}
	})
}

func written(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
