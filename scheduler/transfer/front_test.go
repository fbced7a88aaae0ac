package transfer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/transfer"
)

// zoneFile is a source of one zone, from text.
type zoneFile struct {
	zone    transfer.Zone
	records []owned
}

type owned struct {
	owner []byte
	set   rr.Set
}

func (z *zoneFile) Zones() []transfer.Zone { return []transfer.Zone{z.zone} }

func (z *zoneFile) Records(*transfer.Zone) iter.Seq2[[]byte, rr.Set] {
	return func(yield func([]byte, rr.Set) bool) {
		for _, r := range z.records {
			if !yield(r.owner, r.set) {
				return
			}
		}
	}
}

const apex = "cdn.test."

func soaOf(serial int) string {
	return apex + " 3600 IN SOA ns1.cdn.test. hostmaster.cdn.test. " + itoa(serial) + " 2 2 604800 60"
}

// zoneOf makes a zone of a serial and records as in a zone file, one set after the other.
func zoneOf(t testing.TB, serial int, secondaries []cdn.Secondary, lines ...string) *zoneFile {
	t.Helper()
	z := &zoneFile{}
	z.zone.Name = wire(t, apex)
	z.zone.Secondaries = secondaries
	_, z.zone.SOA = parse(t, soaOf(serial))
	for _, line := range lines {
		owner, set := parse(t, line)
		if i := len(z.records) - 1; i >= 0 && string(z.records[i].owner) == string(owner) && z.records[i].set.Type == set.Type {
			z.records[i].set.Data = append(z.records[i].set.Data, set.Data...)
			continue
		}
		z.records = append(z.records, owned{owner, set})
	}
	return z
}

func wire(t testing.TB, name string) []byte {
	t.Helper()
	b := make([]byte, 256)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func parse(t testing.TB, line string) (owner []byte, set rr.Set) {
	t.Helper()
	r, err := dns.NewRR(line)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65535)
	n, err := dns.PackRR(r, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	owner = wire(t, r.Header().Name)
	return owner, rr.Set{Type: r.Header().Rrtype, TTL: r.Header().Ttl, Data: [][]byte{slices.Clone(b[len(owner)+10 : n])}}
}

const keysText = `
# of the tests
tsig.test     hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
other.test.   HMAC-SHA512. ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=
tsig384.test  hmac-sha384 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
`

const tsigSecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func keys(t testing.TB) transfer.Keys {
	t.Helper()
	k, err := transfer.ParseKeys(keysText)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// byKey is a secondary known by its key.
func byKey(name cdn.Domain) []cdn.Secondary { return []cdn.Secondary{{Key: name}} }

// front is a name server around a transfer server: what the schedulers' own does with transfers and signed queries, and SOA queries besides.
type front struct {
	*transfer.Server

	at     string // IP:port, of UDP and TCP
	mu     sync.Mutex
	serial int // that SOA queries are told
}

func (f *front) publish(z *zoneFile) {
	f.mu.Lock()
	f.serial = int(z.zone.Serial())
	f.mu.Unlock()
	f.Publish(z)
}

func newFront(t testing.TB, cfg transfer.Config) *front {
	t.Helper()
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	f := &front{Server: transfer.New(cfg)}
	var tcp net.Listener
	var udp net.PacketConn
	for range 20 { // until a port is free for both
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			tcp = l
			break
		}
		l.Close()
	}
	f.at = tcp.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() { f.serveUDP(udp) })
	all.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f.serveTCP(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		tcp.Close()
		udp.Close()
		all.Wait()
	})
	return f
}

func (f *front) serveUDP(c net.PacketConn) {
	b := make([]byte, 65535)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		q := slices.Clone(b[:n])
		var answer []byte
		if isTransfer(q) {
			answer = f.Answer(q, from.(*net.UDPAddr).AddrPort().Addr())
		} else {
			answer = f.ordinary(q, true)
		}
		if answer != nil {
			c.WriteTo(answer, from)
		}
	}
}

func (f *front) serveTCP(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	write := func(m []byte) error {
		c.SetWriteDeadline(time.Now().Add(30 * time.Second))
		_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		return err
	}
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		var err error
		if isTransfer(q) {
			err = f.Serve(ctx, q, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(), write)
		} else {
			err = write(f.ordinary(q, false))
		}
		if err != nil {
			return
		}
	}
}

// ordinary answers a query that is no transfer, with the SOA.
func (f *front) ordinary(q []byte, udp bool) []byte {
	m := new(dns.Msg)
	if m.Unpack(q) != nil {
		return nil
	}
	if m.IsTsig() != nil {
		return f.Signed(q, udp, f.soa)
	}
	return f.soa(q)
}

func (f *front) soa(q []byte) []byte {
	m, a := new(dns.Msg), new(dns.Msg)
	if m.Unpack(q) != nil {
		return nil
	}
	a.SetReply(m)
	a.Authoritative = true
	f.mu.Lock()
	r, _ := dns.NewRR(soaOf(f.serial))
	f.mu.Unlock()
	a.Answer = append(a.Answer, r)
	b, _ := a.Pack()
	return b
}

func isTransfer(q []byte) bool {
	m := new(dns.Msg)
	return m.Unpack(q) == nil && len(m.Question) == 1 && (m.Question[0].Qtype == dns.TypeAXFR || m.Question[0].Qtype == dns.TypeIXFR)
}

// pull transfers a zone as a client does and returns the records, as in a zone file.
func pull(t testing.TB, at string, q *dns.Msg, key, algorithm, secret string) ([]string, error) {
	t.Helper()
	tr := &dns.Transfer{}
	if key != "" {
		q.SetTsig(key, algorithm, 300, time.Now().Unix())
		tr.TsigSecret = map[string]string{key: secret}
	}
	envelopes, err := tr.In(q, at)
	if err != nil {
		return nil, err
	}
	var lines []string
	for e := range envelopes {
		if e.Error != nil {
			err = errors.Join(err, e.Error)
		}
		for _, r := range e.RR {
			lines = append(lines, strings.ReplaceAll(r.String(), "\t", " "))
		}
	}
	return lines, err
}

func axfr() *dns.Msg {
	q := new(dns.Msg)
	return q.SetAxfr(apex)
}

func ixfr(serial uint32) *dns.Msg {
	q := new(dns.Msg)
	return q.SetIxfr(apex, serial, "ns1.cdn.test.", "hostmaster.cdn.test.")
}

var loopback = netip.MustParseAddr("127.0.0.1")
