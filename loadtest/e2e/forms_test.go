package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// form is a content in a coding ("" for none): what its octets and its entity tag must be, whoever sends them.
type form struct {
	content *content
	coding  string
	tag     string
	body    []byte
}

// forms are the forms seen of all contents.
type forms struct {
	mu    sync.Mutex // guards the following
	known map[*content][]form
	tags  map[*content]map[string]string // :: entity tag → coding
}

func newForms(contents []*content) *forms {
	f := &forms{known: make(map[*content][]form), tags: make(map[*content]map[string]string)}
	for _, c := range contents {
		f.known[c] = []form{{content: c, tag: c.tag, body: c.body}}
		f.tags[c] = map[string]string{c.tag: ""}
	}
	return f
}

// find returns the form of a content in a coding, if somebody has had the whole of it.
func (f *forms) find(c *content, coding string) (form, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.known[c], func(known form) bool { return known.coding == coding })
	if i < 0 {
		return form{}, false
	}
	return f.known[c][i], true
}

// seen returns the entity tags seen of a content.
func (f *forms) seen(c *content) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var tags []string
	for tag := range f.tags[c] {
		tags = append(tags, tag)
	}
	slices.Sort(tags) // so that the seed decides which is taken
	return tags
}

// learnTag notes the entity tag of a coding. It must be strong and of this coding alone, and the coding
// must have no other.
func (f *forms) learnTag(c *content, coding, tag string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(tag, `"`) {
		return fmt.Errorf("the entity tag %s is not strong", tag)
	}
	if of, ok := f.tags[c][tag]; ok && of != coding {
		return fmt.Errorf("the entity tag %s of coding %q is that of coding %q", tag, coding, of)
	}
	for other, of := range f.tags[c] {
		if of == coding && other != tag {
			return fmt.Errorf("coding %q has the entity tags %s and %s", coding, other, tag)
		}
	}
	f.tags[c][tag] = coding
	return nil
}

// learn compares a whole coded content with the file, the first time, and with what it was then, later.
func (f *forms) learn(c *content, coding, tag string, body []byte) error {
	if known, ok := f.find(c, coding); ok {
		if !bytes.Equal(known.body, body) {
			return fmt.Errorf("coding %q: %d octets, which differ from the %d of before", coding, len(body), len(known.body))
		}
		return nil
	}
	plain, err := decode(coding, body)
	if err != nil {
		return fmt.Errorf("decoding %d octets of coding %q: %w", len(body), coding, err)
	}
	if !bytes.Equal(plain, c.body) {
		return fmt.Errorf("coding %q decodes to %d octets, which are not the file's %d", coding, len(plain), len(c.body))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[c] = append(f.known[c], form{content: c, coding: coding, tag: tag, body: body})
	return nil
}

// decode takes a coding off.
func decode(coding string, body []byte) ([]byte, error) {
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "br":
		return io.ReadAll(brotli.NewReader(bytes.NewReader(body)))
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return nil, fmt.Errorf("no known coding")
}
