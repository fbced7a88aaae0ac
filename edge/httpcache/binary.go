package httpcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// binaryVersion is the first octet of a head's binary form. A head of another version is not read.
const binaryVersion = 1

var errBinary = errors.New("httpcache: the binary form of a response is damaged")

// AppendBinary appends the response in a form that [DecodeResponse] reads, the same octets for the same response. What the
// directives were is in it, since the fields that said so may have been withheld.
func (r *Response) AppendBinary(dst []byte) []byte {
	dst = append(dst, binaryVersion)
	dst = binary.AppendUvarint(dst, uint64(r.Status)) //nolint:gosec // three digits
	dst = appendTime(dst, r.RequestTime)
	dst = appendTime(dst, r.ResponseTime)
	dst = r.directives.appendBinary(dst, r.targeted)
	dst = binary.AppendUvarint(dst, uint64(len(r.vary)))
	for _, f := range r.vary {
		dst = appendText(appendText(appendText(dst, f.name), f.value), f.raw)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Header)))
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		dst = appendTexts(appendText(dst, name), r.Header[name])
	}
	return dst
}

// DecodeResponse reads what [Response.AppendBinary] wrote. It accepts nothing after it, and whatever b is takes memory of a
// few dozen times its length at most. b is not kept.
func DecodeResponse(b []byte) (*Response, error) {
	d := decoder{rest: string(b)}
	if v := d.octet(); v != binaryVersion && !d.bad {
		return nil, fmt.Errorf("httpcache: a response in the binary form %d, this program reads %d", v, binaryVersion)
	}
	r := &Response{Status: d.status(), RequestTime: d.time(), ResponseTime: d.time()}
	r.directives, r.targeted = d.directives()
	r.vary = d.vary()
	r.Header = d.header()
	if d.bad || d.rest != "" {
		return nil, errBinary
	}
	return r.settle(), nil
}

// directive flags in the binary form; the order is part of it.
func (d *Directives) flags() []*bool {
	return []*bool{
		&d.NoStore, &d.NoCache, &d.NoTransform, &d.Private, &d.Public,
		&d.MustRevalidate, &d.ProxyRevalidate, &d.MustUnderstand, &d.Immutable,
	}
}

func (d *Directives) deltas() [4]*Delta {
	return [4]*Delta{&d.MaxAge, &d.SMaxAge, &d.StaleWhileRevalidate, &d.StaleIfError}
}

func (d *Directives) appendBinary(dst []byte, targeted bool) []byte {
	var bits uint64
	for i, flag := range append(d.flags(), &targeted) {
		if *flag {
			bits |= 1 << i
		}
	}
	dst = binary.AppendUvarint(dst, bits)
	for _, delta := range d.deltas() {
		switch {
		case !delta.Present:
			dst = append(dst, 0)
		case !delta.Valid:
			dst = append(dst, 1)
		default:
			dst = binary.AppendUvarint(append(dst, 2), uint64(delta.Value/time.Second)) //nolint:gosec // never negative
		}
	}
	return appendTexts(dst, d.Withheld)
}

func appendTime(dst []byte, t time.Time) []byte {
	return binary.AppendUvarint(binary.AppendVarint(dst, t.Unix()), uint64(t.Nanosecond())) //nolint:gosec // never negative
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendText(dst, s)
	}
	return dst
}

// decoder takes the binary form apart. After a mistake bad is set and everything reads as nothing.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() {
	d.rest, d.bad = "", true
}

func (d *decoder) octet() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

// number reads a uvarint in its shortest form, so that there is one form of each response.
func (d *decoder) number() uint64 {
	var n uint64
	for shift := uint(0); shift < 64; shift += 7 {
		b := d.octet()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if shift > 0 && b == 0 || shift == 63 && b > 1 {
				d.fail()
			}
			return n
		}
	}
	d.fail()
	return 0
}

// count reads a number of things each of which takes an octet at least.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n) //nolint:gosec // no more than a length
}

func (d *decoder) text() string {
	n := d.count()
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

// texts reads a list; an empty one is nil, as it never says anything else than an absent one.
func (d *decoder) texts() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}

func (d *decoder) status() int {
	n := d.number()
	if n > 999 {
		d.fail()
	}
	return int(n) //nolint:gosec // checked, or of no account
}

func (d *decoder) time() time.Time {
	n := d.number()
	seconds := int64(n>>1) ^ -int64(n&1) //nolint:gosec // zigzag, as AppendVarint makes it
	nanoseconds := d.number()
	if nanoseconds >= uint64(time.Second) {
		d.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC() //nolint:gosec // checked
}

func (d *decoder) directives() (dirs Directives, targeted bool) {
	flags := append(dirs.flags(), &targeted)
	bits := d.number()
	if bits>>len(flags) != 0 {
		d.fail()
	}
	for i, flag := range flags {
		*flag = bits&(1<<i) != 0
	}
	for _, delta := range dirs.deltas() {
		switch d.octet() {
		case 0:
		case 1:
			*delta = Delta{Present: true}
		case 2:
			n := d.number()
			if n > uint64(maxDelta/time.Second) {
				d.fail()
				n = 0
			}
			*delta = seconds(int64(n)) //nolint:gosec // checked
		default:
			d.fail()
		}
	}
	dirs.Withheld = d.texts()
	return dirs, targeted
}

func (d *decoder) vary() []varyField {
	n := d.count()
	if n == 0 {
		return nil
	}
	if n > maxVary {
		d.fail()
		return nil
	}
	fields := make([]varyField, n)
	for i := range fields {
		fields[i] = varyField{name: d.text(), value: d.text(), raw: d.text()}
	}
	return fields
}

func (d *decoder) header() http.Header {
	n := d.count()
	h := make(http.Header, n)
	last := ""
	for i := range n {
		name := d.text()
		if d.bad || i > 0 && name <= last {
			d.fail()
			return h
		}
		last = name
		h[name] = d.texts()
	}
	return h
}
