package http1_test

import (
	"io"
	"net/http"
	"testing"

	"nearcast/edge/http1"
)

func TestKeepAlive(t *testing.T) {
	c := dial(t, start(t, &http1.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}))
	for range 3 {
		c.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
		c.want(200, "/a")
	}
	c.send("GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	c.want(200, "/b")
	c.wantEnd()
}
