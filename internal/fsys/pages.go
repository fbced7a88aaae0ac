package fsys

import "bytes"

const (
	pageSize = 4096
	fanBits  = 6
	fan      = 1 << fanBits
)

// zeros is a page that takes no memory.
var zeros [pageSize]byte //nolint:gochecknoglobals // nobody writes to it

// pages is the content of a file: a tree of pages whose leaves and branches of zeros are missing. A snapshot shares what
// both have; whoever writes first makes copies of the way down. It has no lock: a snapshot changes both.
type pages struct {
	root   *limb
	height int // of the tree: it has room for fan^height pages
	owner  *owner
}

// owner is an identity: a limb may be written to by the pages that have the same.
type owner struct{ _ byte }

// limb is a branch (kids) or a leaf (data).
type limb struct {
	owner *owner
	kids  *[fan]*limb
	data  *[pageSize]byte
}

// snapshot returns the same content, which from now on changes apart.
func (t *pages) snapshot() pages {
	t.owner = new(owner)
	return pages{t.root, t.height, new(owner)}
}

// read fills p from an offset on; what was never written is zeros.
func (t *pages) read(p []byte, off int64) {
	for len(p) > 0 {
		i, at := off/pageSize, off%pageSize
		n := min(int64(len(p)), pageSize-at)
		if page := t.find(i); page != nil {
			copy(p[:n], page[at:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+n
	}
}

// write puts p at an offset.
func (t *pages) write(p []byte, off int64) {
	for len(p) > 0 {
		i, at := off/pageSize, off%pageSize
		n := min(int64(len(p)), pageSize-at)
		t.writePage(i, p[:n], at)
		p, off = p[n:], off+n
	}
}

// clear puts n zeros at an offset.
func (t *pages) clear(off, n int64) {
	for n > 0 {
		i, at := off/pageSize, off%pageSize
		k := min(n, pageSize-at)
		t.writePage(i, zeros[:k], at)
		n, off = n-k, off+k
	}
}

func (t *pages) writePage(i int64, p []byte, at int64) {
	zero := bytes.Equal(p, zeros[:len(p)])
	if zero && t.find(i) == nil {
		return
	}
	leaf := t.own(i)
	page := t.ownPage(leaf)
	copy(page[at:], p)
	if zero && *page == zeros {
		*leaf = nil
	}
}

// find returns a page, or nil for zeros.
func (t *pages) find(i int64) *[pageSize]byte {
	if i>>(fanBits*t.height) != 0 {
		return nil
	}
	l := t.root
	for h := t.height - 1; h >= 0 && l != nil; h-- {
		l = l.kids[i>>(fanBits*h)&(fan-1)]
	}
	if l == nil {
		return nil
	}
	return l.data
}

// own returns where a page's leaf hangs, on a way down that nobody else has.
func (t *pages) own(i int64) **limb {
	for i>>(fanBits*t.height) != 0 {
		if t.root != nil {
			t.root = &limb{owner: t.owner, kids: &[fan]*limb{t.root}}
		}
		t.height++
	}
	at := &t.root
	for h := t.height - 1; h >= 0; h-- {
		l := *at
		switch {
		case l == nil:
			l = &limb{owner: t.owner, kids: new([fan]*limb)}
		case l.owner != t.owner:
			kids := *l.kids
			l = &limb{owner: t.owner, kids: &kids}
		}
		*at = l
		at = &l.kids[i>>(fanBits*h)&(fan-1)]
	}
	return at
}

func (t *pages) ownPage(leaf **limb) *[pageSize]byte {
	l := *leaf
	switch {
	case l == nil:
		l = &limb{owner: t.owner, data: new([pageSize]byte)}
	case l.owner != t.owner:
		data := *l.data
		l = &limb{owner: t.owner, data: &data}
	}
	*leaf = l
	return l.data
}

// resident counts the pages that take memory.
func (l *limb) resident() int64 {
	switch {
	case l == nil:
		return 0
	case l.data != nil:
		return 1
	}
	var n int64
	for _, kid := range l.kids {
		n += kid.resident()
	}
	return n
}
