package disk_test

import (
	"encoding/binary"
	"path"
	"strconv"
	"testing"

	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

// FuzzForged: whatever the entries of a footer say, with checksums that are right, the store opens and serves nothing but what was put.
func FuzzForged(f *testing.F) {
	f.Add([]byte{}, uint8(0), true, uint8(0), int64(8192), uint32(0))
	f.Add(make([]byte, 48), uint8(0), true, uint8(1), int64(1<<40), uint32(7))
	f.Add(make([]byte, 480), uint8(1), false, uint8(200), int64(-1), uint32(1))
	m := fsys.NewMem(fsys.MemConfig{})
	s := open(f, config(m))
	for i := range 12 {
		put(f, s, thing(keyOf(i), long(keyOf(i), 1000*i)), "")
	}
	closed(f, s)
	super, err := record.ParseSuper(content(m, "/d/superblock"))
	if err != nil {
		f.Fatal(err)
	}
	segments := files(m, segmentFile)
	f.Fuzz(func(t *testing.T, forged []byte, file uint8, sealed bool, class uint8, tail int64, expiry uint32) {
		m := m.Kill()
		name := segments[int(file)%len(segments)]
		number, err := strconv.ParseUint(path.Base(name)[:16], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		b := record.AppendFooter(nil, entriesOf(forged), record.Trailer{Sealed: sealed, Class: class, Tail: tail, Expiry: expiry}, record.NewSalt(super.Disk, number))
		if len(b) > segmentSize {
			return
		}
		overwrite(m, name, b, int64(segmentSize-len(b)))
		s := open(t, config(m))
		for i := range 12 {
			if o := get(s, keyOf(i), ""); o != nil && text(o) != long(keyOf(i), 1000*i) {
				t.Errorf("Get(%q) = %.40q", keyOf(i), text(o))
			}
		}
		for o := range s.All {
			s.Load(o)
		}
		for i := range 12 {
			if !s.Put(thing(keyOf(i), "more"), nil) || text(get(s, keyOf(i), "")) != "more" {
				t.Errorf("it does not go on: %+v", s.Stats())
			}
		}
		closed(t, s)
	})
}

// entriesOf makes entries of octets.
func entriesOf(b []byte) (list []record.Entry) {
	le := binary.LittleEndian
	for ; len(b) >= 48; b = b[48:] {
		list = append(list, record.Entry{
			Kind: record.Kind(b[0] % 5), Flags: record.Flags(le.Uint16(b[1:])), Hash: le.Uint64(b[3:]), Seq: le.Uint64(b[11:]),
			Unit: le.Uint32(b[19:]), Units: le.Uint32(b[23:]), Expiry: le.Uint32(b[27:]),
			Target: record.Place{Segment: le.Uint64(b[31:]), Unit: le.Uint32(b[39:])},
		})
	}
	return list
}
