package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tally counts what the judge has seen.
type tally struct {
	Requests int64 `json:"requests"`
	Hits     int64 `json:"hits"`
	// BrokenOff are those that a crash or the loss of a disk cut off, or a change of a content of which only a part was stored. What had come of
	// them was right.
	BrokenOff int64 `json:"broken_off"`
	// Failed are those that got no answer, or an error, though the edge should have served.
	Failed int64 `json:"failed"`
	// Wrong are answers that are not what their head says, or that nobody may give.
	Wrong int64 `json:"wrong"`
	// Undone are answers older than an invalidation that had been acknowledged when they were asked for.
	Undone int64 `json:"undone"`
}

var (
	errWrong  = errors.New("wrong")
	errUndone = errors.New("an invalidation is undone")
	// errBrokenOff is of an answer that began well, and whose visitor knows that it has not got all.
	errBrokenOff = errors.New("broken off")
)

// judge judges each response alone and remembers what may not be served any more.
type judge struct {
	origin *webOrigin

	mu         sync.Mutex // guards the following
	tally      tally
	complaints []string           // the first ones of each sort
	floors     map[string]floor   // what may be served, by path
	posts      map[string]int     // beginnings and ends of POSTs
	stored     map[spot]time.Time // what must be in the cache, and since when it has been
	shock      time.Time          // when a disk was last taken away
	losing     bool               // see expectLoss
}

// floor is the least version that may be served, since when.
type floor struct {
	version int64
	since   time.Time
}

// spot is where a stored response is: a path and what selects the variant.
type spot struct {
	path string
	kind int
}

func newJudge(o *webOrigin) *judge {
	return &judge{origin: o, floors: make(map[string]floor), posts: make(map[string]int), stored: make(map[spot]time.Time)}
}

// shockTime is for how long answers may break off after the file that they are sent from has been taken away.
const shockTime = time.Second

// expectShock says that a disk is going to fail.
func (j *judge) expectShock() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.shock = time.Now()
}

// expectLoss says that nothing can be made durable until expectSafety: what is invalidated meanwhile may come back after that.
func (j *judge) expectLoss() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.losing = true
}

func (j *judge) expectSafety() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.losing = false
}

const maxComplaints = 10

// complain counts an answer that is bad, and takes down the first of its sort.
func (j *judge) complain(count *int64, a ask, err error) {
	if *count++; *count <= maxComplaints {
		j.complaints = append(j.complaints, fmt.Sprintf("%s: %v", a, err))
	}
}

// take returns what was counted and complained of, and begins anew.
func (j *judge) take() (tally, []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t, c := j.tally, j.complaints
	j.tally, j.complaints = tally{}, nil
	return t, c
}

// wronged reports whether there was a wrong answer.
func (j *judge) wronged() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tally.Wrong+j.tally.Undone > 0
}

// forget drops what must be stored: the disk is another.
func (j *judge) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.stored)
}

// doubt drops what has been stored since t: a crash may have taken it.
func (j *judge) doubt(t time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	maps.DeleteFunc(j.stored, func(_ spot, since time.Time) bool { return !since.Before(t) })
}

// known returns what has been stored since before t, and since when.
func (j *judge) known(t time.Time) map[spot]time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	spots := make(map[spot]time.Time)
	for s, since := range j.stored {
		if since.Before(t) {
			spots[s] = since
		}
	}
	return spots
}

// terms are what holds for a request from its beginning.
type terms struct {
	floor floor
	posts int
}

func (j *judge) begin(a ask) terms {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tally.Requests++
	if a.method == http.MethodPost {
		j.posts[a.path]++
		for kind := range 4 {
			delete(j.stored, spot{a.path, kind})
		}
	}
	return terms{floor: j.floors[a.path], posts: j.posts[a.path]}
}

// end takes down how a request went. gone tells that the edge may have been killed meanwhile.
func (j *judge) end(a ask, t terms, v view, err error, gone bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if v.hit {
		j.tally.Hits++
	}
	switch {
	case errors.Is(err, errWrong):
		j.complain(&j.tally.Wrong, a, err)
	case errors.Is(err, errUndone):
		j.complain(&j.tally.Undone, a, err)
	case err != nil && gone, errors.Is(err, errBrokenOff) && (time.Since(j.shock) < shockTime || v.version > 0 && v.version < j.origin.version(a.path)):
		j.tally.BrokenOff++
	case err != nil:
		j.complain(&j.tally.Failed, a, err)
	case a.method == http.MethodPost:
		j.posts[a.path]++
		if v.version > j.floors[a.path].version && !j.losing {
			j.floors[a.path] = floor{v.version, time.Now()}
		}
	case v.whole && j.posts[a.path] == t.posts:
		s := spot{a.path, a.kind}
		if _, known := j.stored[s]; !known {
			j.stored[s] = time.Now()
		}
	}
}

// view is what was learnt from a response.
type view struct {
	hit     bool
	status  string // Cache-Status
	whole   bool   // a steady content came from its beginning to its end
	version int64
	tag     string
}

// slack is how late a response may be noticed not to be fresh: clocks have seconds.
const slack = 2 * time.Second

// try asks and judges the answer.
func (j *judge) try(ctx context.Context, client *http.Client, base string, a ask, gone func() bool) view {
	t := j.begin(a)
	v, err := j.exchange(ctx, client, base, a, t)
	j.end(a, t, v, err, gone != nil && gone())
	return v
}

func (j *judge) exchange(ctx context.Context, client *http.Client, base string, a ask, t terms) (view, error) {
	req, err := a.request(ctx, base)
	if err != nil {
		return view{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return view{}, fmt.Errorf("%w before its head: %w", errBrokenOff, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	v := view{hit: resp.Header.Get("X-Cache") == "HIT", status: resp.Header.Get("Cache-Status")}
	if a.method == http.MethodPost {
		return j.changed(a, resp, v)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
	case http.StatusRequestedRangeNotSatisfiable:
		return v, j.outside(a, t, resp)
	default:
		return v, fmt.Errorf("status %s, %s", resp.Status, resp.Header.Get("Cache-Status"))
	}
	f, err := j.head(a, t, resp)
	if err != nil {
		return v, err
	}
	v.version, v.tag = f.version, resp.Header.Get("Etag")
	if err := j.body(a, f, resp); err != nil {
		return v, err
	}
	v.whole = resp.StatusCode == http.StatusOK && a.method == http.MethodGet && f.class.steady()
	return v, nil
}

// changed reads the answer to a POST.
func (j *judge) changed(a ask, resp *http.Response, v view) (view, error) {
	if resp.StatusCode != http.StatusOK {
		return v, fmt.Errorf("status %s", resp.Status)
	}
	f, err := parseName(resp.Header.Get(nameField))
	if err != nil || f.path != a.path {
		return v, fmt.Errorf("%w: a POST is answered with X-Content %q", errWrong, resp.Header.Get(nameField))
	}
	v.version = f.version
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return v, nil //nolint:nilerr // its head is the acknowledgement
	}
	return v, nil
}

// head judges what the head says.
func (j *judge) head(a ask, t terms, resp *http.Response) (content, error) {
	f, err := parseName(resp.Header.Get(nameField))
	if err != nil {
		return f, fmt.Errorf("%w: %w", errWrong, err)
	}
	wrong := func(format string, args ...any) (content, error) {
		return f, fmt.Errorf("%w: %s (%s, %s, Age %s)", errWrong, fmt.Sprintf(format, args...), f.name(), resp.Header.Get("X-Cache"), resp.Header.Get("Age"))
	}
	tag := resp.Header.Get("Etag")
	switch {
	case f.path != a.path:
		return wrong("the content is of another URL")
	case f.class.kinds > 0 && f.kind != a.kind:
		return wrong("the content is of another variant")
	case f.version > j.origin.version(a.path):
		return wrong("the version is yet to come")
	case f.class.tagged && tag != f.tag(), !f.class.tagged && tag != "":
		return wrong("the entity tag is %s", tag)
	case resp.StatusCode == http.StatusNotModified && a.tag != f.tag():
		return wrong("304 for one who has %s", a.tag)
	case f.version < t.floor.version:
		return f, fmt.Errorf("%w: it is version %d, version %d was acknowledged %s ago (%s, Age %s)", errUndone, f.version, t.floor.version,
			time.Since(t.floor.since).Round(time.Millisecond), resp.Header.Get("X-Cache"), resp.Header.Get("Age"))
	}
	made, err := strconv.ParseInt(resp.Header.Get(madeField), 10, 64)
	if err != nil {
		return wrong("%s %q", madeField, resp.Header.Get(madeField))
	}
	age := time.Since(time.UnixMilli(made))
	if lifetime := time.Duration(f.class.maxAge) * time.Second; resp.Header.Get("X-Cache") == "HIT" && age > lifetime+slack {
		return wrong("a hit that is %s old and was fresh for %s", age.Round(time.Millisecond), lifetime)
	}
	return f, nil
}

// body judges what comes after the head.
func (j *judge) body(a ask, f content, resp *http.Response) error {
	switch {
	case a.method == http.MethodHead && resp.StatusCode == http.StatusOK:
		if resp.ContentLength != f.size {
			return fmt.Errorf("%w: HEAD: Content-Length %d of %d octets (%s)", errWrong, resp.ContentLength, f.size, f.name())
		}
		return nil
	case resp.StatusCode == http.StatusNotModified:
		return nil
	case resp.StatusCode == http.StatusOK:
		return compare(resp.Body, resp.ContentLength, f, 0, f.size)
	case len(a.ranges) == 0:
		return fmt.Errorf("%w: 206 to a request without Range", errWrong)
	}
	if kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "multipart/byteranges" {
		return parts(a, f, multipart.NewReader(resp.Body, params["boundary"]))
	}
	from, to, err := position(resp.Header.Get("Content-Range"), f)
	if err != nil {
		return err
	}
	if len(a.ranges) == 1 {
		if wantFrom, wantTo := a.ranges[0].of(f.size); from != wantFrom || to != wantTo {
			return fmt.Errorf("%w: octets %d to %d, want %d to %d (%s)", errWrong, from, to, wantFrom, wantTo, f.name())
		}
	}
	return compare(resp.Body, resp.ContentLength, f, from, to)
}

// outside judges the answer that a range is of nothing: one of the versions that may be served must be that short.
func (j *judge) outside(a ask, t terms, resp *http.Response) error {
	said := resp.Header.Get("Content-Range")
	for version := j.origin.version(a.path); version >= 1; version-- {
		f, err := newContent(a.path, a.kind, version)
		if err != nil {
			return err
		}
		none := true
		for _, r := range a.ranges {
			from, to := r.of(f.size)
			none = none && from >= to
		}
		switch {
		case !none || said != "" && said != fmt.Sprintf("bytes */%d", f.size):
		case version < t.floor.version:
			return fmt.Errorf("%w: 416 as of version %d, version %d was acknowledged", errUndone, version, t.floor.version)
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: 416 with Content-Range %q", errWrong, said)
}

// parts judges a body of several ranges.
func parts(a ask, f content, body *multipart.Reader) error {
	n := 0
	for ; ; n++ {
		part, err := body.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBrokenOff, err)
		}
		from, to, err := position(part.Header.Get("Content-Range"), f)
		if err != nil {
			return err
		}
		if err := compare(part, -1, f, from, to); err != nil {
			return err
		}
	}
	if n == 0 || n > len(a.ranges) {
		return fmt.Errorf("%w: %d parts for %d ranges", errWrong, n, len(a.ranges))
	}
	return nil
}

// position reads Content-Range: the first octet and the one after the last.
func position(s string, f content) (from, to int64, err error) {
	span, size, ok1 := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || from > to || to >= f.size || size != strconv.FormatInt(f.size, 10) {
		return 0, 0, fmt.Errorf("%w: Content-Range %q of %d octets (%s)", errWrong, s, f.size, f.name())
	}
	return from, to + 1, nil
}

// compare reads a body and compares it with the octets from from to to.
func compare(body io.Reader, length int64, f content, from, to int64) error {
	if length >= 0 && length != to-from {
		return fmt.Errorf("%w: Content-Length %d, want %d (%s)", errWrong, length, to-from, f.name())
	}
	got, want := make([]byte, 32<<10), make([]byte, 32<<10)
	for at := from; ; {
		n, err := body.Read(got)
		if int64(n) > to-at {
			return fmt.Errorf("%w: more than %d octets (%s)", errWrong, to-from, f.name())
		}
		f.fill(want[:n], at)
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("%w: octet %d of [%d, %d) differs (%s)", errWrong, at+int64(differs(got[:n], want)), from, to, f.name())
		}
		at += int64(n)
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF): // the visitor notices
			return fmt.Errorf("%w at octet %d of [%d, %d): %w", errBrokenOff, at, from, to, err)
		case at != to:
			return fmt.Errorf("%w: a clean end at octet %d of [%d, %d) (%s)", errWrong, at, from, to, f.name())
		default:
			return nil
		}
	}
}

func differs(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
