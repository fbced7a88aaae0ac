package httpfront

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"nearcast/internal/web/lane"
)

// reply is an answer before it is put into a form.
type reply struct {
	status   int
	location string
	maxAge   int // seconds; below zero it is not to be stored
	dns      bool
	content  []byte
	allow    string
	origin   string // whose scripts may use the answer; "" if that makes no difference
}

// everybody is the origin of all scripts that send nothing along.
const everybody = "*"

func problemReply(p *problem) reply {
	r := reply{status: p.status, maxAge: -1, content: []byte(p.text + "\n")}
	if p.status == http.StatusMethodNotAllowed {
		r.allow = "GET, HEAD, POST"
	}
	return r
}

// What Cache-Control says. An answer is for whoever asked: others may be sent elsewhere.
const (
	noStore    = "no-store"
	privateAge = "private, max-age="
)

// names are those of the fields that are written here.
var names = struct{ cacheControl, contentLength, date, location, allow, allowOrigin, allowCredentials lane.Name }{ //nolint:gochecknoglobals // constants
	lane.NewName("Cache-Control"), lane.NewName("Content-Length"), lane.NewName("Date"), lane.NewName("Location"), lane.NewName("Allow"),
	lane.NewName("Access-Control-Allow-Origin"), lane.NewName("Access-Control-Allow-Credentials"),
}

// The fields beside those, by what the content is.
const textMedia = "text/plain; charset=utf-8"

// blocks are the beginnings of answers.
var blocks = makeBlocks() //nolint:gochecknoglobals // constants

type blockTable struct {
	dns    *lane.Block
	status [600]*lane.Block // nil for a status that there is no word for
}

func makeBlocks() *blockTable {
	t := &blockTable{dns: lane.NewBlock(http.StatusOK, []lane.Field{{Name: "Content-Type", Value: mediaDNS}, {Name: "X-Content-Type-Options", Value: "nosniff"}})}
	for status := 300; status < len(t.status); status++ {
		if http.StatusText(status) == "" {
			continue
		}
		fields := []lane.Field{{Name: "Vary", Value: "Origin"}} // see [redirect.Outcome]
		if status >= 400 {
			fields = []lane.Field{{Name: "Content-Type", Value: textMedia}, {Name: "X-Content-Type-Options", Value: "nosniff"}}
		}
		t.status[status] = lane.NewBlock(status, fields)
	}
	return t
}

// toLane puts a reply into an answer of the lane. It reports false for one that has no form there.
func (r *reply) toLane(a *lane.Answer, head bool, date string) bool {
	a.Block = blocks.dns
	if !r.dns {
		if r.status < 300 || r.status >= len(blocks.status) || blocks.status[r.status] == nil {
			return false
		}
		a.Block = blocks.status[r.status]
	}
	a.Status = r.status
	if r.location != "" {
		a.Add(&names.location, r.location)
	}
	if r.allow != "" {
		a.Add(&names.allow, r.allow)
	}
	if r.origin != "" {
		a.Add(&names.allowOrigin, r.origin)
	}
	if r.credentials() {
		a.Add(&names.allowCredentials, "true")
	}
	if r.maxAge < 0 {
		a.Add(&names.cacheControl, noStore)
	} else {
		a.AddInt(&names.cacheControl, privateAge, int64(r.maxAge), "")
	}
	a.Add(&names.date, date)
	a.AddInt(&names.contentLength, "", int64(len(r.content)), "")
	if !head && len(r.content) > 0 {
		a.Content = append(a.Content, r.content)
		a.Length = int64(len(r.content))
	}
	return true
}

// write sends a reply.
func (r *reply) write(w http.ResponseWriter) {
	h := w.Header()
	switch {
	case r.dns:
		h.Set("Content-Type", mediaDNS)
		h.Set("X-Content-Type-Options", "nosniff")
	case r.status >= 400:
		h.Set("Content-Type", textMedia)
		h.Set("X-Content-Type-Options", "nosniff")
	case r.status >= 300:
		h.Set("Vary", "Origin")
	}
	if r.origin != "" {
		h.Set("Access-Control-Allow-Origin", r.origin)
	}
	if r.credentials() {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.location != "" {
		h.Set("Location", r.location)
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	if r.maxAge < 0 {
		h.Set("Cache-Control", noStore)
	} else {
		h.Set("Cache-Control", privateAge+strconv.Itoa(r.maxAge))
	}
	h.Set("Content-Length", strconv.Itoa(len(r.content)))
	w.WriteHeader(r.status)
	w.Write(r.content) //nolint:errcheck // nobody is left to be told
}

// credentials reports whether scripts may use the answer to a request with cookies and the like.
func (r *reply) credentials() bool { return r.origin != "" && r.origin != everybody }

// dates has the value of Date, which is the same for a second.
type dates struct{ last atomic.Pointer[date] }

type date struct {
	second int64
	text   string
}

func (d *dates) at(now time.Time) string {
	if last := d.last.Load(); last != nil && last.second == now.Unix() {
		return last.text
	}
	fresh := &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
	d.last.Store(fresh)
	return fresh.text
}

// view8 is the octets of a string, which must not be written to.
func view8(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
