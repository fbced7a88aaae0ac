package http1_test

import (
	"net/http"
	"strings"
	"testing"

	"nearcast/internal/web/http1"
)

// badChunks are bodies that are not in chunks, whatever they say.
func badChunks() map[string]string {
	return map[string]string{
		"size with 0x":             "0x3\r\nabc\r\n0\r\n\r\n",
		"size with plus":           "+3\r\nabc\r\n0\r\n\r\n",
		"size with minus":          "-1\r\nabc\r\n0\r\n\r\n",
		"size with underscore":     "0_3\r\nabc\r\n0\r\n\r\n",
		"size after space":         " 3\r\nabc\r\n0\r\n\r\n",
		"size before space":        "3 \r\nabc\r\n0\r\n\r\n",
		"size missing":             "\r\nabc\r\n0\r\n\r\n",
		"size missing, extension":  ";a\r\nabc\r\n0\r\n\r\n",
		"size with junk":           "3zz\r\nabc\r\n0\r\n\r\n",
		"size of 16 digits":        "0000000000000003\r\nabc\r\n0\r\n\r\n",
		"size that overflows":      "FFFFFFFFFFFFFFED\r\nabc\r\n0\r\n\r\n",
		"size that overflows more": "10000000000000003\r\nabc\r\n0\r\n\r\n",
		"size before bare LF":      "3\nabc\r\n0\r\n\r\n",
		"size before bare CR":      "3\rabc\r\n0\r\n\r\n",
		"extension with bare LF":   "2;\nxx\r\n4c\r\n0\r\n\r\n" + evil,
		"extension with bare CR":   "3;a\rb\r\nabc\r\n0\r\n\r\n",
		"extension with NUL":       "3;a\x00b\r\nabc\r\n0\r\n\r\n",
		"extension too long":       "3;" + strings.Repeat("a", 256) + "\r\nabc\r\n0\r\n\r\n",
		"extension without end":    "3;" + strings.Repeat("a", 64<<10),
		"data without CR LF":       "3\r\nabc0\r\n\r\n",
		"data too long":            "3\r\nabcde\r\n0\r\n\r\n",
		"data before bare LF":      "3\r\nabc\n0\r\n\r\n",
		"data before bare CR":      "3\r\nabc\r0\r\n\r\n",
		"last chunk bare LF":       "3\r\nabc\r\n0\n\r\n",
		"end bare LF":              "3\r\nabc\r\n0\r\n\n",
		"trailer without colon":    "0\r\nbad trailer\r\n\r\n",
		"trailer with bad name":    "0\r\nbad name: 1\r\n\r\n",
		"trailer folded":           "0\r\nX: 1\r\n 2\r\n\r\n",
		"trailer with NUL":         "0\r\nX: \x00\r\n\r\n",
		"trailer with bare LF":     "0\r\nX: 1\nY: 2\r\n\r\n",
		"trailers too large":       "0\r\nX: " + strings.Repeat("a", 9<<10) + "\r\n\r\n",
		"too many trailers":        "0\r\n" + strings.Repeat("X: 1\r\n", 201) + "\r\n",
		"nothing but extensions":   strings.Repeat("1;"+strings.Repeat("a", 250)+"\r\na\r\n", 1000) + "0\r\n\r\n",
	}
}

func TestMalformedBody(t *testing.T) {
	for name, body := range badChunks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var handled seen
			c := dial(t, start(t, &http1.Server{Handler: &handled}))
			c.send(post("Transfer-Encoding: chunked\r\n") + body + evil)
			if a := c.receive(http.MethodPost); a.StatusCode != http.StatusBadRequest || !a.Close {
				t.Errorf("got %d, closing: %v; want 400 and the end of the connection", a.StatusCode, a.Close)
			}
			c.wantEnd()
			if got := handled.all(); len(got) > 0 {
				t.Errorf("the handler saw %q", got)
			}
		})
	}
}
