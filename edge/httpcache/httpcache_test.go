package httpcache_test

import (
	"net/http"
	"strings"
	"time"

	"nearcast/edge/httpcache"
)

// epoch is when the responses of these tests come, and their Date.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// header makes fields of lines such as "Cache-Control: max-age=60".
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

func get(lines ...string) httpcache.Request {
	return httpcache.Request{Method: http.MethodGet, Header: header(lines...)}
}

// response makes what a plain GET at epoch was answered with, Date added.
func response(status int, lines ...string) *httpcache.Response {
	h := header(lines...)
	if h["Date"] == nil {
		h.Set("Date", date(0))
	}
	return httpcache.NewResponse(get(), status, h, epoch, epoch)
}

// date formats the time so many seconds after epoch.
func date(seconds int) string {
	return epoch.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

func after(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
