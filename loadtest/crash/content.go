package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// class is a sort of URL: /NAME/NUMBER.
type class struct {
	name     string
	urls     int   // numbers are below it; 0 if there is no end of them
	min, max int64 // sizes of the content
	maxAge   int64 // seconds of freshness
	kinds    int   // variants by the request's X-Kind; 0 if the response does not vary
	tagged   bool  // has an entity tag
	dated    bool  // has a Last-Modified that each version changes
	weight   int   // how often it is asked for, beside the others
}

const day = 86400

// classes are all that there are. Those without a weight are asked for by scenarios of their own.
func classes() []class {
	return []class{
		{name: "small", urls: 300, min: 0, max: 16 << 10, maxAge: day, tagged: true, weight: 50},
		{name: "medium", urls: 40, min: 16 << 10, max: 512 << 10, maxAge: day, tagged: true, dated: true, weight: 12},
		{name: "large", urls: 8, min: 1 << 20, max: 5 << 20, maxAge: day, tagged: true, weight: 4},
		{name: "varied", urls: 20, min: 1, max: 64 << 10, maxAge: day, kinds: 3, tagged: true, weight: 12},
		{name: "bare", urls: 30, min: 0, max: 32 << 10, maxAge: day, weight: 10},
		{name: "brief", urls: 20, min: 0, max: 128 << 10, maxAge: 1, tagged: true, weight: 12},
		{name: "bulk", min: 1 << 20, max: 1 << 20, maxAge: day, tagged: true},
		{name: "tiny", min: tinySize, max: tinySize, maxAge: day, tagged: true},
	}
}

const tinySize = 200

func (c class) steady() bool { return c.maxAge == day }

// classOf finds the class of a path.
func classOf(path string) (class, error) {
	name, number, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	n, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil {
		return class{}, fmt.Errorf("%s is no path of ours", path)
	}
	for _, c := range classes() {
		if c.name == name && (c.urls == 0 || int(n) < c.urls) {
			return c, nil
		}
	}
	return class{}, fmt.Errorf("%s is no path of ours", path)
}

// content is what a URL has in one version: octets that follow from the three.
type content struct {
	path    string
	kind    int // of the variant; 0 without variants
	version int64
	class   class
	size    int64
	seed    uint64
}

func newContent(path string, kind int, version int64) (content, error) {
	c, err := classOf(path)
	if err != nil {
		return content{}, err
	}
	if c.kinds == 0 {
		kind = 0
	}
	if kind < 0 || kind > c.kinds || version < 1 {
		return content{}, fmt.Errorf("there is no version %d of kind %d of %s", version, kind, path)
	}
	f := content{path: path, kind: kind, version: version, class: c, seed: mix(uint64(kind)<<48 ^ uint64(version))}
	for _, b := range []byte(path) {
		f.seed = mix(f.seed ^ uint64(b))
	}
	f.size = f.length()
	return f, nil
}

// length draws the size; every eighth is one on which something ends: a class, a block of checksums, a slice.
func (f content) length() int64 {
	chance := mix(f.seed ^ 1)
	if chance%8 == 0 {
		ends := [...]int64{0, 1, 64 << 10, 64<<10 + 1, 1 << 20, 1<<20 + 1, 2 << 20, 4 << 20}
		if n := ends[chance>>8%uint64(len(ends))]; n >= f.class.min && n <= f.class.max {
			return n
		}
	}
	return f.class.min + int64(mix(chance)%uint64(f.class.max-f.class.min+1))
}

// mix is a bijection that looks like chance (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// block is how many octets are drawn at a time. Each begins with a number of its own, and goes on with a piece of a table: contents of many
// MiB a second have to be made, sent and compared.
const block = 4096

// table is octets that look like chance.
var table = sync.OnceValue(func() []byte { //nolint:gochecknoglobals // computed once, and never changed
	b := make([]byte, 1<<20+block)
	rand.NewChaCha8([32]byte{1}).Read(b) //nolint:errcheck // never fails
	return b
})

// fill writes the octets from off on.
func (f content) fill(p []byte, off int64) {
	all := table()
	for len(p) > 0 {
		number := mix(f.seed + uint64(off/block))
		piece := all[number>>40%(1<<20):][:block]
		in := int(off % block)
		n := copy(p, piece[in:])
		var first [8]byte
		binary.LittleEndian.PutUint64(first[:], number)
		if in < len(first) {
			copy(p[:n], first[in:])
		}
		p, off = p[n:], off+int64(n)
	}
}

// name is what a response's head calls its content: X-Content.
func (f content) name() string { return fmt.Sprintf("%s;%d;%d", f.path, f.kind, f.version) }

// tag is the entity tag.
func (f content) tag() string {
	return fmt.Sprintf(`"%s-%d-%d"`, strings.ReplaceAll(f.path[1:], "/", "-"), f.kind, f.version)
}

// parseName reads X-Content.
func parseName(s string) (content, error) {
	fields := strings.Split(s, ";")
	if len(fields) != 3 {
		return content{}, fmt.Errorf("X-Content %q names no content", s)
	}
	kind, err1 := strconv.Atoi(fields[1])
	version, err2 := strconv.ParseInt(fields[2], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return content{}, fmt.Errorf("X-Content %q names no content: %w", s, err)
	}
	return newContent(fields[0], kind, version)
}

// reader reads a content; it is an [io.ReadSeeker].
type reader struct {
	content
	at int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.size-r.at)
	r.fill(p[:n], r.at)
	r.at += n
	return int(n), nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the beginning")
	}
	r.at = offset
	return offset, nil
}
