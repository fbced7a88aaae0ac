package connlimit_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/scheduler/connlimit"
)

// from is a listener whose connections come from given addresses, one after the other.
type from struct {
	net.Listener

	sources []string
	clients []net.Conn
}

type sourced struct {
	net.Conn

	remote net.Addr
}

func (s sourced) RemoteAddr() net.Addr { return s.remote }

func (f *from) Accept() (net.Conn, error) {
	if len(f.sources) == 0 {
		return nil, io.EOF
	}
	remote := &net.TCPAddr{IP: net.ParseIP(f.sources[0]), Port: 1234}
	f.sources = f.sources[1:]
	server, client := net.Pipe()
	f.clients = append(f.clients, client)
	return sourced{server, remote}, nil
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name     string
		sources  []string
		total    int
		accepted int
	}{
		{"within", []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, 64, 3},
		{"source", []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"}, 64, 3},
		{"network", []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"}, 64, 3},
		{"mapped", []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"}, 64, 2},
		{"total", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"}, 4, 4},
		{"few left", []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, 16, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			open := prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"})
			refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused_total"})
			inner := &from{sources: test.sources}
			l := connlimit.Listen(inner, connlimit.Limits{Total: test.total, PerSource: 2, Open: open, Refused: refused})
			var conns []net.Conn
			for {
				c, err := l.Accept()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, c)
			}
			if len(conns) != test.accepted || testutil.ToFloat64(open) != float64(test.accepted) {
				t.Errorf("%d accepted, %v open, want %d", len(conns), testutil.ToFloat64(open), test.accepted)
			}
			if got, want := testutil.ToFloat64(refused), float64(len(test.sources)-test.accepted); got != want {
				t.Errorf("%v refused, want %v", got, want)
			}
			for _, c := range conns {
				c.Close()
				c.Close()
			}
			if got := testutil.ToFloat64(open); got != 0 {
				t.Errorf("%v open after all were closed", got)
			}
			inner.sources = test.sources[:1]
			if _, err := l.Accept(); err != nil {
				t.Errorf("nobody gets in after all were closed: %v", err)
			}
		})
	}
}

// Who is refused sees the connection closed.
func TestRefused(t *testing.T) {
	inner := &from{sources: []string{"192.0.2.1"}}
	l := connlimit.Listen(inner, connlimit.Limits{
		Open:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"}),
		Refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "refused_total"}),
	})
	if _, err := l.Accept(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := inner.clients[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("reading: %v, want the end", err)
	}
}
