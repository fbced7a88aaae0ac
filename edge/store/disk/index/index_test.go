package index

import "testing"

func TestSmoke(t *testing.T) {
	x := New()
	for i := range uint32(300000) {
		if !x.Insert(Hash([16]byte{}, "k", string([]byte{byte(i), byte(i >> 8), byte(i >> 16)})), Entry{Location: Location{i >> 12, i & 4095}}) {
			t.Fatal(i)
		}
	}
	var b [4]Entry
	for i := range uint32(300000) {
		h := Hash([16]byte{}, "k", string([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
		if g := x.Find(h, b[:0]); len(g) != 1 || g[0].Location != (Location{i >> 12, i & 4095}) {
			t.Fatal(i, g)
		}
	}
	n := 0
	for range x.All() {
		n++
	}
	t.Log(x.Len(), n, x.Bytes(), float64(x.Bytes())/float64(x.Len()))
	t.Log(x.RemoveSegment(3), x.Len())
}
