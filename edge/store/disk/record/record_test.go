package record_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
	"nearcast/internal/racing"
)

var (
	identity = record.Identity{1, 2, 3}
	salt     = record.NewSalt(identity, 7)
	epoch    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// object makes an object with a body of n octets in pieces of 1000.
func object(n int) *store.Object {
	h := http.Header{"Vary": {"Accept"}, "Etag": {`"1"`}}
	req := httpcache.Request{Method: http.MethodGet, Header: http.Header{"Accept": {"text/html"}}}
	body := []byte(strings.Repeat("0123456789", n/10+1))[:n]
	var pieces [][]byte
	for len(body) > 0 {
		k := min(1000, len(body))
		pieces, body = append(pieces, body[:k]), body[k:]
	}
	return &store.Object{
		ID: 3, Key: "site.example/a", Variant: "gzip", Born: 9, URL: "site.example/a?b", Tags: []uint64{5, 1 << 63},
		Response: httpcache.NewResponse(req, http.StatusOK, h, epoch, epoch), Body: store.NewBody(pieces...), Start: 1 << 20, Length: 5 << 20, Sliced: true,
	}
}

// written returns the octets of a record of an object.
func written(t testing.TB, o *store.Object, targets ...record.Place) []byte {
	t.Helper()
	d, err := record.NewDraft(o, 0xfeed, 77)
	if err != nil {
		t.Fatal(err)
	}
	d.Targets = targets
	size := d.Size()
	b := d.Append(nil, salt, 16, 1234)
	for p := range o.Body.Slice(0, o.Body.Len()) {
		b = append(b, p...)
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// read takes a record apart again.
func read(b []byte, salt record.Salt, unit uint32) (record.View, []byte, error) {
	h, err := record.ParseHeader(b, salt, unit)
	if err != nil {
		return record.View{}, nil, err
	}
	if int64(len(b)) < h.BodyOffset()+h.Body {
		return record.View{}, nil, record.ErrDamaged
	}
	v, err := record.ParseMeta(h, b[record.HeaderSize:], salt)
	if err != nil {
		return v, nil, err
	}
	body := b[h.BodyOffset():][:h.Body]
	if !v.CheckBody(body) {
		return v, nil, record.ErrDamaged
	}
	return v, body, nil
}

func TestRecord(t *testing.T) {
	racing.Alone(t)
	for _, n := range []int{0, 1, 999, record.Chunk - 1, record.Chunk, record.Chunk + 1, 5*record.Chunk + 17} {
		o := object(n)
		targets := []record.Place{{Segment: 1, Unit: 2}, {Segment: 1 << 60, Unit: 1 << 20}}
		b := written(t, o, targets...)
		if len(b)%record.Unit != 0 {
			t.Errorf("a record of %d octets", len(b))
		}
		v, body, err := read(b, salt, 16)
		if err != nil {
			t.Fatalf("body of %d octets: %v", n, err)
		}
		if diff := cmp.Diff(targets, v.Targets()); diff != "" {
			t.Errorf("targets (-written +read):\n%s", diff)
		}
		head, err := v.Response()
		if err != nil {
			t.Fatal(err)
		}
		got := v.Object(head, store.NewBody(body))
		if head.Header.Get("Etag") != `"1"` || !head.Varies() || got.Memo == nil {
			t.Errorf("read the head %+v", head)
		}
		got.Response, got.Memo = o.Response, nil
		got.Body = o.Body
		if diff := cmp.Diff(*o, *got, cmp.AllowUnexported(store.Body{}), cmp.Comparer(func(a, b *httpcache.Response) bool { return a == b })); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
		if h := v.Header; h.Hash != 0xfeed || h.Seq != 1234 || h.Expiry != 77 || h.Flags != record.Sliced|record.Varies || h.Size() != int64(len(b)) {
			t.Errorf("read the header %+v", h)
		}
		if !v.Is("site.example/a", "gzip") || v.Is("site.example/a", "") || v.Is("site.example/", "agzip") {
			t.Error("the record is taken for another, or not for itself")
		}
	}
}

// TestElsewhere: a record is good in its own place only.
func TestElsewhere(t *testing.T) {
	b := written(t, object(100))
	for name, f := range map[string]func() error{
		"another offset":  func() error { _, _, err := read(b, salt, 17); return err },
		"another segment": func() error { _, _, err := read(b, record.NewSalt(identity, 8), 16); return err },
		"another disk":    func() error { _, _, err := read(b, record.NewSalt(record.Identity{}, 7), 16); return err },
	} {
		if err := f(); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("in %s: %v, want it damaged", name, err)
		}
	}
}

// TestFlips: there is no bit that could be another one.
func TestFlips(t *testing.T) {
	b := written(t, object(300), record.Place{Segment: 1, Unit: 2})
	h, err := record.ParseHeader(b, salt, 16)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range int(h.BodyOffset()+h.Body) * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, err := read(b, salt, 16); err == nil {
			t.Errorf("bit %d of octet %d makes no difference", bit%8, bit/8)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	if _, err := record.ParseHeader(make([]byte, record.HeaderSize), salt, 16); !errors.Is(err, record.ErrNone) {
		t.Errorf("zeros: %v", err)
	}
}

// TestAgain: a record written again elsewhere is the same, with other targets.
func TestAgain(t *testing.T) {
	v, body, err := read(written(t, object(70_000), record.Place{Segment: 5}), salt, 16)
	if err != nil {
		t.Fatal(err)
	}
	d := v.Again(record.Place{Segment: 7, Unit: 16})
	other := record.NewSalt(identity, 9)
	b := append(d.Append(nil, other, 99, 2000), body...)
	w, again, err := read(b, other, 99)
	if err != nil || !bytes.Equal(body, again) || w.Header.Seq != 2000 || w.Targets()[0].Segment != 7 || !w.Is("site.example/a", "gzip") {
		t.Errorf("written again: %+v, %v", w.Header, err)
	}
}

func TestTooLarge(t *testing.T) {
	o := object(0)
	o.URL = strings.Repeat("x", record.MaxMeta)
	if _, err := record.NewDraft(o, 0, 0); err == nil {
		t.Error("a head larger than can be read was accepted")
	}
}

func entries() []record.Entry {
	h := record.Header{Kind: record.Object, Flags: record.Varies, Hash: 1, Seq: 2, Body: 500, Expiry: 9, Unit: 16}
	e := record.AppendEntries(nil, &h, []record.Place{{Segment: 4, Unit: 5}, {Segment: 6, Unit: 7}})
	h.Unit, h.Kind = 20, record.Tombstone
	return record.AppendEntries(e, &h, nil)
}

func TestFooter(t *testing.T) {
	want := entries()
	const size = 1 << 20
	b := record.AppendFooter(nil, want, record.Trailer{Sealed: true, Class: 1, Tail: 8192, Expiry: 9}, salt)
	if int64(len(b)) != record.FooterSize(3) {
		t.Errorf("a footer of %d octets, want %d", len(b), record.FooterSize(3))
	}
	parse := func() ([]record.Entry, record.Trailer, error) {
		at := len(b) - record.TrailerSize
		tr, err := record.ParseTrailer(b[at:], salt, size)
		if err != nil {
			return nil, tr, err
		}
		got, err := record.ParseEntries(nil, b[:at], tr, salt)
		return got, tr, err
	}
	got, tr, err := parse()
	if err != nil || !tr.Sealed || tr.Class != 1 || tr.Tail != 8192 || tr.Expiry != 9 {
		t.Fatalf("trailer %+v, %v", tr, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for bit := range len(b) * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, err := parse(); err == nil {
			t.Errorf("bit %d of octet %d makes no difference", bit%8, bit/8)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	if _, err := record.ParseTrailer(make([]byte, record.TrailerSize), salt, size); !errors.Is(err, record.ErrNone) {
		t.Errorf("zeros: %v", err)
	}
}

func TestSegmentHeader(t *testing.T) {
	b := record.AppendSegmentHeader(nil, identity, 7, 1)
	if class, err := record.ParseSegmentHeader(b, identity, 7); err != nil || class != 1 || len(b) != record.SegmentHeaderSize {
		t.Errorf("class %d, %v", class, err)
	}
	for name, err := range map[string]error{
		"number": second(record.ParseSegmentHeader(b, identity, 8)), "disk": second(record.ParseSegmentHeader(b, record.Identity{}, 7)),
		"cut": second(record.ParseSegmentHeader(b[:20], identity, 7)),
	} {
		if !errors.Is(err, record.ErrDamaged) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if err := second(record.ParseSegmentHeader(make([]byte, 4096), identity, 7)); !errors.Is(err, record.ErrNone) {
		t.Errorf("zeros: %v", err)
	}
}

func second(_ uint8, err error) error { return err }

// TestSuper: the newer slot counts, if it is whole.
func TestSuper(t *testing.T) {
	file := make([]byte, record.SuperSize)
	if _, err := record.ParseSuper(file); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("zeros: %v", err)
	}
	s := record.Super{Disk: identity, Seed: record.Identity{9}, Boot: 1, Session: 2, Set: 3}
	for serial := range uint64(5) {
		s.Serial, s.Boot = serial, 10+serial
		b, off := s.Slot()
		copy(file[off:], b)
		if got, err := record.ParseSuper(file); err != nil || got != s {
			t.Errorf("read %+v, %v; want %+v", got, err, s)
		}
	}
	for bit := range 84 * 8 {
		file[bit/8] ^= 1 << (bit % 8) // the slot of serial 4
		if got, err := record.ParseSuper(file); err != nil || got.Serial != 3 {
			t.Fatalf("bit %d: read %+v, %v; want the older slot", bit, got, err)
		}
		file[bit/8] ^= 1 << (bit % 8)
	}
}
