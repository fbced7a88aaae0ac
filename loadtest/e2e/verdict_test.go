package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
)

// reply is a response whose body has been read to its end.
type reply struct {
	*http.Response
	body []byte
}

// judge says what is wrong with the reply to a request. whole fetches all of a content in a coding: of a part of it the rest must be known.
func (a *ask) judge(c *content, r *reply, known *forms, whole func(coding string) error) error {
	if err := a.judgeHead(c, r); err != nil {
		return err
	}
	if r.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return a.judgeUnsatisfiable(c, r, known, whole)
	}
	coding := r.Header.Get("Content-Encoding")
	tag := r.Header.Get("ETag")
	if r.StatusCode == http.StatusNotModified { // it has no Content-Encoding; the tag tells
		return a.judgeNotModified(c, r, known)
	}
	if best := a.accept.best(c.codings); coding != best && (coding != "" || len(a.ranges) == 0 || a.method == http.MethodHead) {
		return fmt.Errorf("Content-Encoding is %q, want %q", coding, best)
	}
	if err := known.learnTag(c, coding, tag); err != nil {
		return err
	}
	if r.StatusCode == http.StatusOK && a.method == http.MethodGet && coding != "" {
		if err := known.learn(c, coding, tag, r.body); err != nil {
			return err
		}
	}
	f, ok := known.find(c, coding)
	if !ok {
		if err := whole(coding); err != nil {
			return fmt.Errorf("fetching the whole in coding %q: %w", coding, err)
		}
		f, _ = known.find(c, coding)
	}
	return a.judgeForm(f, r)
}

// judgeHead looks at the fields that every response has.
func (a *ask) judgeHead(c *content, r *reply) error {
	if r.StatusCode == http.StatusRequestedRangeNotSatisfiable || a.passedOn(r) {
		return nil // 416: its content is nobody's, and the origin's own may be passed on
	}
	named := 0
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Vary"), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(name), "Accept-Encoding") {
			named++
		}
	}
	if want := min(1, len(c.codings)); named != want {
		return fmt.Errorf("Vary is %q: it names Accept-Encoding %d times, want %d", r.Header.Values("Vary"), named, want)
	}
	for _, name := range []string{"ETag", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type"} {
		if n := len(r.Header.Values(name)); n > 1 {
			return fmt.Errorf("%d lines of %s", n, name)
		}
	}
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusPartialContent &&
		r.StatusCode != http.StatusNotModified && r.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("no such status can be")
	}
	if hasRange := r.Header.Get("Content-Range") != ""; hasRange && r.StatusCode != http.StatusPartialContent && r.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("Content-Range %q", r.Header.Get("Content-Range"))
	}
	return nil
}

// passedOn reports whether a 304 is the origin's own: that to a HEAD is passed on when nothing is stored, and
// an origin need not say much in it.
func (a *ask) passedOn(r *reply) bool {
	return a.method == http.MethodHead && r.StatusCode == http.StatusNotModified && r.Header.Get("X-Cache") == "MISS"
}

func (a *ask) judgeNotModified(c *content, r *reply, known *forms) error {
	tag := r.Header.Get("ETag")
	if tag == "" && a.passedOn(r) {
		return nil
	}
	known.mu.Lock()
	_, ok := known.tags[c][tag]
	known.mu.Unlock()
	if !ok || !a.matches(tag) {
		return fmt.Errorf("not modified, with the entity tag %s", tag)
	}
	if len(r.body) > 0 || r.Header.Get("Content-Encoding") != "" {
		return fmt.Errorf("not modified, with %d octets and Content-Encoding %q", len(r.body), r.Header.Get("Content-Encoding"))
	}
	return nil
}

// matches reports whether If-None-Match has the tag, by weak comparison (RFC 9110 section 8.8.3.2).
func (a *ask) matches(tag string) bool {
	return slices.ContainsFunc(a.ifNoneMatch, func(t string) bool { return strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") })
}

// judgeUnsatisfiable looks at a 416: there must be a form of the content in which nothing of the ranges exists and
// which has the length that it names. An origin's own is passed on when nothing is stored; then it may lack the
// length, and it goes before If-None-Match, since the entity tag is not known.
func (a *ask) judgeUnsatisfiable(c *content, r *reply, known *forms, whole func(string) error) error {
	for _, coding := range []string{"", a.accept.best(c.codings)} {
		f, ok := known.find(c, coding)
		if !ok {
			if err := whole(coding); err != nil {
				return fmt.Errorf("fetching the whole in coding %q: %w", coding, err)
			}
			f, _ = known.find(c, coding)
		}
		field, length := r.Header.Get("Content-Range"), len(f.body)
		if (field == "" || field == fmt.Sprintf("bytes */%d", length)) && a.asksForNothing(int64(length)) {
			if tag := r.Header.Get("ETag"); tag != "" && tag != f.tag {
				return fmt.Errorf("the entity tag %s, want %s", tag, f.tag)
			}
			return nil
		}
	}
	return fmt.Errorf("Content-Range %q", r.Header.Get("Content-Range"))
}

// asksForNothing reports whether none of the ranges exists in a content of size octets. The last octets of nothing
// are all of it or none, as one likes.
func (a *ask) asksForNothing(size int64) bool {
	return a.method == http.MethodGet && len(a.ranges) > 0 && !slices.ContainsFunc(a.ranges, func(s span) bool {
		from, to := s.of(size)
		return from < to
	})
}

// status is what the answer to the request must be if it is of a form.
func (a *ask) status(f form) int {
	switch {
	case a.matches(f.tag):
		return http.StatusNotModified
	case a.method == http.MethodHead || len(a.ranges) == 0 || a.ifRange != "" && a.ifRange != f.tag:
		return http.StatusOK
	}
	size := int64(len(f.body))
	switch {
	case !a.asksForNothing(size):
		return http.StatusPartialContent
	case size == 0 && slices.ContainsFunc(a.ranges, func(s span) bool { return s.first < 0 }):
		return http.StatusOK // the last octets of nothing are all of it, and no Content-Range can say so
	}
	return http.StatusRequestedRangeNotSatisfiable
}

// judgeForm compares a response that says which form it is of with this form.
func (a *ask) judgeForm(f form, r *reply) error {
	// The origin does not know the tags of coded forms, and a HEAD that misses asks the origin.
	afar := a.method == http.MethodHead && f.coding != "" && r.StatusCode == http.StatusOK
	if want := a.status(f); r.StatusCode != want && !afar {
		return fmt.Errorf("the status should be %d", want)
	}
	length := r.Header.Get("Content-Length")
	switch {
	case a.method == http.MethodHead:
		if len(r.body) > 0 || length != "" && length != fmt.Sprint(len(f.body)) || length == "" && f.coding == "" {
			return fmt.Errorf("Content-Length %q of a form of %d octets, and %d octets of body", length, len(f.body), len(r.body))
		}
	case r.StatusCode == http.StatusPartialContent && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/byteranges"):
		return a.judgeParts(f, r)
	case r.StatusCode == http.StatusPartialContent:
		if length != fmt.Sprint(len(r.body)) {
			return fmt.Errorf("Content-Length %q with %d octets", length, len(r.body))
		}
		return a.judgeCovered(f, []part{{r.Header, r.body}})
	case !bytes.Equal(r.body, f.body):
		return fmt.Errorf("%d octets, which are not the %d of the form", len(r.body), len(f.body))
	case length == "" && f.coding == "":
		return fmt.Errorf("no Content-Length")
	}
	return sameType(f, r.Header)
}

func sameType(f form, h http.Header) error {
	if got := h.Get("Content-Type"); got != f.content.mediaType {
		return fmt.Errorf("Content-Type %q, want %q", got, f.content.mediaType)
	}
	return nil
}

// part is one range of a partial response.
type part struct {
	header http.Header
	body   []byte
}

// judgeParts looks at a body of several ranges (RFC 9110 section 14.6).
func (a *ask) judgeParts(f form, r *reply) error {
	if length := r.Header.Get("Content-Length"); length != fmt.Sprint(len(r.body)) {
		return fmt.Errorf("Content-Length %q with %d octets", length, len(r.body))
	}
	if field := r.Header.Get("Content-Range"); field != "" {
		return fmt.Errorf("Content-Range %q beside several parts", field)
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type %q: %w", r.Header.Get("Content-Type"), err)
	}
	var parts []part
	reader := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
	for {
		p, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", len(parts), err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return fmt.Errorf("part %d: %w", len(parts), err)
		}
		parts = append(parts, part{http.Header(p.Header), body})
	}
	if len(parts) < 2 {
		return fmt.Errorf("%d parts of several", len(parts))
	}
	return a.judgeCovered(f, parts)
}

// judgeCovered compares parts with the octets of the form, and what they cover with what was asked for.
func (a *ask) judgeCovered(f form, parts []part) error {
	covered := make([]bool, len(f.body))
	for _, p := range parts {
		var first, last, size int
		field := p.header.Get("Content-Range")
		if n, err := fmt.Sscanf(field, "bytes %d-%d/%d", &first, &last, &size); n != 3 {
			return fmt.Errorf("Content-Range %q: %w", field, err)
		}
		if field != fmt.Sprintf("bytes %d-%d/%d", first, last, len(f.body)) || last-first+1 != len(p.body) || first < 0 || last >= len(f.body) {
			return fmt.Errorf("Content-Range %q with %d octets of a form of %d", field, len(p.body), len(f.body))
		}
		if !bytes.Equal(p.body, f.body[first:last+1]) {
			return fmt.Errorf("the octets of Content-Range %q are others", field)
		}
		if err := sameType(f, p.header); err != nil {
			return err
		}
		for i := first; i <= last; i++ {
			covered[i] = true
		}
	}
	asked := make([]bool, len(f.body))
	for _, s := range a.ranges {
		for from, to := s.of(int64(len(f.body))); from < to; from++ {
			asked[from] = true
		}
	}
	if !slices.Equal(asked, covered) {
		return fmt.Errorf("the parts are not what was asked for")
	}
	return nil
}
