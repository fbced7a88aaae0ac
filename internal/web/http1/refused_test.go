package http1_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"nearcast/internal/web/http1"
)

// evil is a request that must never be seen: it is hidden in the body of others.
const evil = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"

// get and post are heads with further fields. Each field ends in CR LF.
func get(fields string) string  { return "GET /c HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" }
func post(fields string) string { return "POST /c HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" }
func line(s string) string      { return s + "\r\nHost: x\r\n\r\n" }

// stream is what a client sends and what becomes of it.
type stream struct {
	name   string
	raw    string
	status int
	reason string // what Rejected is told
}

// refusedHeads are streams whose first request never reaches the handler.
func refusedHeads() []stream {
	long := strings.Repeat("a", 70<<10)
	return []stream{
		{"no host", "GET /c HTTP/1.1\r\n\r\n", 400, "no-host"},
		{"two hosts that agree", get("Host: x\r\n"), 400, "host-repeated"},
		{"two hosts that differ", get("host: evil.example\r\n"), 400, "host-repeated"},
		{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400, "host-repeated"},
		{"host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "host"},
		{"host with path and user", "GET / HTTP/1.1\r\nHost: x/x@y\r\n\r\n", 400, "host"},
		{"host with user", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400, "host"},
		{"host with fragment", "GET / HTTP/1.1\r\nHost: x#y\r\n\r\n", 400, "host"},
		{"host list", "GET / HTTP/1.1\r\nHost: x,y\r\n\r\n", 400, "host"},
		{"host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "host"},
		{"host of port only", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, "host"},
		{"host port not a number", "GET / HTTP/1.1\r\nHost: x:8a\r\n\r\n", 400, "host"},
		{"host port too large", "GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n", 400, "host"},
		{"host 8-bit", "GET / HTTP/1.1\r\nHost: caf\xe9\r\n\r\n", 400, "host"},
		{"host bad IPv6", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "host"},
		{"host bad escape", "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", 400, "host"},

		{"space before colon", get("X-A : 1\r\n"), 400, "space-before-colon"},
		{"tab before colon", get("X-A\t: 1\r\n"), 400, "space-before-colon"},
		{"space before colon of Content-Length", post("Content-Length : 3\r\n") + "abc", 400, "space-before-colon"},
		{"space before colon of Transfer-Encoding", post("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n" + evil, 400, "space-before-colon"},
		{"space before first field", "GET /c HTTP/1.1\r\n Host: x\r\nX: 1\r\nHost: x\r\n\r\n", 400, "obs-fold"},
		{"field without colon", get("Garbage\r\n"), 400, "no-colon"},
		{"field without name", get(": v\r\n"), 400, "field-name"},
		{"control in field name", get("X\x01Y: v\r\n"), 400, "field-name"},
		{"8-bit in field name", get("X\xe9: v\r\n"), 400, "field-name"},
		{"slash in field name", get("X/Y: v\r\n"), 400, "field-name"},
		{"NUL in field value", get("X: a\x00b\r\n"), 400, "field-value"},
		{"DEL in field value", get("X: a\x7fb\r\n"), 400, "field-value"},
		{"BEL in field value", get("X: \ab\r\n"), 400, "field-value"},
		{"bare CR in field value", get("X: a\rb\r\n"), 400, "bare-cr"},
		{"bare CR hides a field", get("X: a\rTransfer-Encoding: chunked\r\n"), 400, "bare-cr"},
		{"CR CR LF", get("X: a\r\r\n"), 400, "bare-cr"},
		{"folded line", get("X: a\r\n b\r\n"), 400, "obs-fold"},
		{"folded line of white space", get("X: a\r\n \t\r\n"), 400, "obs-fold"},
		{"folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", 400, "obs-fold"},
		{"bare LF everywhere", "GET /c HTTP/1.1\nHost: x\n\n", 400, "bare-lf"},
		{"bare LF after one field", "GET /c HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n", 400, "bare-lf"},
		{"bare LF as the last line", "GET /c HTTP/1.1\r\nHost: x\r\n\n", 400, "bare-lf"},
		{"bare LF before the request", "\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bare-lf"},
		{"three empty lines before the request", "\r\n\r\n\r\n" + get(""), 400, "blank-lines"},

		{"version 2.0", line("GET /c HTTP/2.0"), 505, "version-unsupported"},
		{"version 0.9", line("GET /c HTTP/0.9"), 505, "version-unsupported"},
		{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version-unsupported"},
		{"version in lower case", line("GET /c http/1.1"), 400, "version"},
		{"version with more", line("GET /c HTTP/1.1x"), 400, "version"},
		{"version with two digits", line("GET /c HTTP/1.10"), 400, "version"},
		{"version with comma", line("GET /c HTTP/1,1"), 400, "version"},
		{"no version", line("GET /c"), 400, "request-line"},
		{"no target", line("GET  HTTP/1.1"), 400, "target"},
		{"only a method", line("GET"), 400, "request-line"},
		{"two spaces", line("GET  /c HTTP/1.1"), 400, "request-line"},
		{"tabs", line("GET\t/c\tHTTP/1.1"), 400, "request-line"},
		{"space in target", line("GET /c d HTTP/1.1"), 400, "request-line"},
		{"space at the end", line("GET /c HTTP/1.1 "), 400, "request-line"},
		{"space at the beginning", line(" GET /c HTTP/1.1"), 400, "request-line"},
		{"method with bracket", line("GE(T /c HTTP/1.1"), 400, "method"},
		{"TLS in cleartext", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "method"},
		{"target without slash", line("GET c HTTP/1.1"), 400, "target"},
		{"target with control", line("GET /c\x01d HTTP/1.1"), 400, "target"},
		{"target with NUL", line("GET /c\x00d HTTP/1.1"), 400, "target"},
		{"target 8-bit", line("GET /c\xe9 HTTP/1.1"), 400, "target"},
		{"target with fragment", line("GET /c#d HTTP/1.1"), 400, "target"},
		{"target with bad escape", line("GET /%zz HTTP/1.1"), 400, "target"},
		{"asterisk with GET", line("GET * HTTP/1.1"), 400, "target"},
		{"authority with GET", line("GET x:80 HTTP/1.1"), 400, "target"},
		{"CONNECT", line("CONNECT x:80 HTTP/1.1"), 400, "connect"},
		{"URL of another scheme", line("GET ftp://x/c HTTP/1.1"), 400, "target"},
		{"URL of another host", line("GET http://other.example/c HTTP/1.1"), 400, "target-host"},
		{"URL of another port", line("GET http://x:8080/c HTTP/1.1"), 400, "target-host"},
		{"URL with user", line("GET http://u@x/c HTTP/1.1"), 400, "target-host"},
		{"URL without host", line("GET http:///c HTTP/1.1"), 400, "target-host"},

		{"target too long", line("GET /" + long[:16<<10] + " HTTP/1.1"), 414, "target-too-long"},
		{"request line without end", "GET /" + long, 414, "target-too-long"},
		{"method without end", long, 400, "request-line"},
		{"field too long", get("X: " + long + "\r\n"), 431, "head-too-large"},
		{"field without end", "GET / HTTP/1.1\r\nX: " + long, 431, "head-too-large"},
		{"too many fields", get(strings.Repeat("X: 1\r\n", 200)), 431, "too-many-fields"},
		{"too many cookies", get(strings.Repeat("Cookie: a=b\r\n", 1000)), 431, "too-many-fields"},

		{"Connection names Host", get("Connection: Host, close\r\n"), 400, "connection"},
		{"Connection names Content-Length", post("Connection: close\r\nConnection: content-LENGTH\r\nContent-Length: 3\r\n") + "abc", 400, "connection"},
		{"Connection names Transfer-Encoding", post("Connection: x,\ttransfer-encoding\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, "connection"},
		{"unknown expectation", post("Expect: y 100-continue\r\nContent-Length: 3\r\n") + "abc", 417, "expect"},
		{"expectation twice", post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3\r\n") + "abc", 417, "expect"},
	}
}

// refusedFramings are streams that do not say in one way where the body ends.
func refusedFramings() []stream {
	const te = "Transfer-Encoding: chunked\r\n"
	streams := []stream{
		{"CL and TE", post("Content-Length: 6\r\n"+te) + "0\r\n\r\nX", 400, "cl-and-te"},
		{"TE and CL", post(te+"Content-Length: 5\r\n") + "0\r\n\r\n" + evil, 400, "cl-and-te"},
		{"CL hides TE", post("Content-Length: 35\r\n"+te) + "0\r\n\r\n" + evil, 400, "cl-and-te"},
		{"TE identity and CL", post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n") + "abc", 400, "cl-and-te"},
		{"TE after VT, and CL", post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", 400, "field-value"},
		{"TE after NBSP, and CL", post("Transfer-Encoding: \xa0chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", 400, "cl-and-te"},
		{"two CL that agree", post("Content-Length: 3\r\nContent-Length: 3\r\n") + "abc", 400, "cl-repeated"},
		{"two CL that differ", post("Content-Length: 0\r\nContent-Length: 30\r\n") + evil, 400, "cl-repeated"},
		{"two TE", post(te+te) + "0\r\n\r\n", 400, "te"},
		{"body that the connection ends", "POST /c HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" + evil, 400, "no-length"},
		{"TE in HTTP/1.0", "POST /c HTTP/1.0\r\nHost: x\r\n" + te + "\r\n0\r\n\r\n" + evil, 400, "te-in-1.0"},
	}
	for _, length := range []string{
		"", "+3", "-3", "0x3", "3abc", "1_0", "3 3", "0, 30", "3, 3", "3,", "3.0", "\"3\"", "\xb2", "1e1",
		"99999999999999999999999999", "18446744073709551619", "0000000000000000003",
	} {
		streams = append(streams, stream{"Content-Length " + length, post("Content-Length: "+length+"\r\n") + evil, 400, "cl"})
	}
	for _, coding := range []string{
		"", "identity", "xchunked", "chunked, gzip", "gzip, chunked", "chunked, chunked", ",chunked", "chunked,", "\"chunked\"",
		"chunked;q=1", "chunked\xa0", "\xa0chunked", "chun ked", "gzip",
	} {
		streams = append(streams, stream{"Transfer-Encoding " + coding, post("Transfer-Encoding: "+coding+"\r\n") + "0\r\n\r\n" + evil, 400, "te"})
	}
	return streams
}

func TestRefused(t *testing.T) {
	for _, s := range append(refusedHeads(), refusedFramings()...) {
		t.Run(strings.ToValidUTF8(s.name, "?"), func(t *testing.T) {
			t.Parallel()
			var handled, rejected seen
			srv := &http1.Server{Handler: &handled, Rejected: func(_ net.Addr, status int, reason string) {
				rejected.add("%d %s", status, reason)
			}}
			c := dial(t, start(t, srv))
			c.send(s.raw + evil)
			a := c.receive(http.MethodGet)
			if a.StatusCode != s.status || !a.Close || a.bodyErr != nil || len(a.body) < 10 {
				t.Errorf("got %d %q (%v), closing: %v; want %d with a reason, and the end of the connection", a.StatusCode, a.body, a.bodyErr, a.Close, s.status)
			}
			c.wantEnd()
			if got := handled.all(); len(got) > 0 {
				t.Errorf("the handler saw %q", got)
			}
			if got := rejected.all(); len(got) != 1 || !strings.HasSuffix(got[0], " "+s.reason) {
				t.Errorf("Rejected was told %q, want %q once", got, s.reason)
			}
		})
	}
}

// pairwise: whatever two ways of framing a request has, it is refused, and what looks like
// a request in its body is not one.
func TestEveryPairOfFramingsIsRefused(t *testing.T) {
	lengths := []string{"Content-Length: 0", "content-length: 5", "CONTENT-LENGTH:5", "Content-Length: 0005", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length:\t5"}
	codings := []string{"Transfer-Encoding: chunked", "transfer-encoding:chunked", "Transfer-Encoding: CHUNKED", "Transfer-Encoding: identity", "Transfer-Encoding: x", "Transfer-Encoding:\tchunked\t", "Transfer-Encoding: chunked, identity"}
	var handled seen
	addr := start(t, &http1.Server{Handler: &handled})
	for _, version := range []string{"1.0", "1.1"} {
		for _, l := range lengths {
			for _, coding := range codings {
				for _, pair := range []string{l + "\r\n" + coding, coding + "\r\n" + l} {
					c := dial(t, addr)
					c.send("POST / HTTP/" + version + "\r\nHost: x\r\n" + pair + "\r\n\r\n0\r\n\r\n" + evil)
					if a := c.receive(http.MethodPost); a.StatusCode != http.StatusBadRequest {
						t.Errorf("%q: got %d, want 400", pair, a.StatusCode)
					}
					c.wantEnd()
				}
			}
		}
	}
	if got := handled.all(); len(got) > 0 {
		t.Errorf("the handler saw %q", got)
	}
}
