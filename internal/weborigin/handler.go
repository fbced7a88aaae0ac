package weborigin

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// index is the file that stands for its directory.
const index = "index.html"

// handler serves the files below root.
type handler struct {
	root         *os.Root
	cacheControl string
	log          *accessLog
}

func newHandler(root *os.Root, cfg Config) *handler {
	return &handler{
		root:         root,
		cacheControl: "public, max-age=" + strconv.FormatInt(int64(cfg.MaxAge.Seconds()), 10),
		log:          newAccessLog(cfg.AccessLog),
	}
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = h.log.watch(w, r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	f, info, err := h.open(r.URL.Path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		fail(w, http.StatusForbidden)
		return
	case err != nil:
		fail(w, http.StatusNotFound)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	w.Header().Set("Cache-Control", h.cacheControl)
	w.Header().Set("ETag", etag(info))
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
}

// open opens the regular file that a URL's decoded path names. Only names in
// normal form name a file, so that each has one URL.
func (h *handler) open(urlPath string) (*os.File, fs.FileInfo, error) {
	name := strings.TrimPrefix(urlPath, "/")
	if name == "" || strings.HasSuffix(name, "/") {
		name += index
	}
	if !fs.ValidPath(name) {
		return nil, nil, fs.ErrNotExist
	}
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not block
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close() //nolint:errcheck // the first error is the one to report
		return nil, nil, err
	}
	return f, info, nil
}

// etag returns a strong validator (RFC 9110 section 8.8.3): a file that changes
// gets another size or, on any file system of today, another time in nanoseconds.
func etag(info fs.FileInfo) string {
	return fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano())
}

// fail answers with a status and its name, and the length, without which the
// access log could not tell it in advance.
func fail(w http.ResponseWriter, status int) {
	text := http.StatusText(status) + "\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	w.Write([]byte(text)) //nolint:errcheck // the client has gone
}
