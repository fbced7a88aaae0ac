package disk_test

import (
	"testing"

	"nearcast/edge/store"
)

// TestHold: whoever holds an extent can send it to its end though its segment is given up meanwhile, as long as not too many do that; the
// disk's size is never exceeded for it.
func TestHold(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	var held []store.Extent
	var objects []*store.Object
	for i := range 4 { // each in a segment of its own
		put(t, s, thing(keyOf(i), long(keyOf(i), 70_000)), "")
		put(t, s, thing(keyOf(100+i), long("x", 950_000)), "")
		s.Flush()
		o := file(s, keyOf(i))
		e, _ := o.Body.Extent()
		if !e.Hold() {
			t.Fatal("what has just been found cannot be held")
		}
		held, objects = append(held, e), append(objects, o)
	}
	lap := func(from int) {
		t.Helper()
		for i := range 150 {
			put(t, s, thing(keyOf(from+i), long("x", 950_000)), "")
			if d := s.Stats().Disks[0]; d.Used > d.Size {
				t.Fatalf("%d of %d octets are used", d.Used, d.Size)
			}
		}
	}
	lap(1000)
	for i, o := range objects {
		got, want := sent(t, o), long(keyOf(i), 70_000)
		if i < 2 {
			want = "<gone>" // its segment was given up first, and two others later
		}
		if got != want {
			t.Errorf("extent %d has %.40q, want %.40q", i, got, want)
		}
		if held[i].Hold() {
			t.Error("what is gone is held once more")
		}
	}
	for i, e := range held {
		e.Release()
		if got := sent(t, objects[i]); got != "<gone>" {
			t.Errorf("after Release extent %d has %.40q", i, got)
		}
	}
	lap(2000)
	if d := s.Stats().Disks[0]; d.Segments+d.Free < 60 {
		t.Errorf("%d segments and %d free ones of 64: room was lost", d.Segments, d.Free)
	}
}
