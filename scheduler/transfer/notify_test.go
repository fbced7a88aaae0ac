package transfer_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/scheduler/transfer"
)

// listener is secondaries that are told of changes; what they answer is for the test to say.
type listener struct {
	start  time.Time
	answer func(n int, query *dns.Msg, wire []byte) []byte // to the n-th, from 1; nil: silence

	mu   sync.Mutex
	n    int
	told []string // when, who and of what
}

func (l *listener) dial(_ context.Context, network, address string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		c := &dns.Conn{Conn: server}
		b := make([]byte, 4096)
		n, err := c.Read(b)
		q := new(dns.Msg)
		if err != nil || q.Unpack(b[:n]) != nil {
			return
		}
		l.mu.Lock()
		l.n++
		number := l.n
		l.told = append(l.told, time.Since(l.start).String()+" "+network+" "+address+" "+dns.OpcodeToString[q.Opcode]+" "+q.Question[0].Name)
		l.mu.Unlock()
		if a := l.answer(number, q, b[:n]); a != nil {
			c.Write(a)
		} else {
			c.Read(b) // until the other end is closed
		}
	}()
	return client, nil
}

// all is what has been told.
func (l *listener) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

// plain is an answer without a signature.
func plain(t testing.TB, q *dns.Msg, rcode int) []byte {
	t.Helper()
	a := new(dns.Msg)
	a.SetRcode(q, rcode)
	b, err := a.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

func sealed(t testing.TB, q *dns.Msg, wire []byte) []byte {
	t.Helper()
	if err := dns.TsigVerify(slices.Clone(wire), tsigSecret, "", false); err != nil {
		t.Errorf("the notification's signature: %v", err)
	}
	a := new(dns.Msg)
	a.SetReply(q)
	a.SetTsig("tsig.test.", dns.HmacSHA256, 300, time.Now().Unix())
	b, _, err := dns.TsigGenerate(a, tsigSecret, q.IsTsig().MAC, false)
	if err != nil {
		t.Error(err)
	}
	return b
}

func TestNotify(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, test := range []struct {
		name        string
		secondaries []cdn.Secondary
		answer      func(t testing.TB) func(int, *dns.Msg, []byte) []byte
		told        []string
		results     string // told, refused, silent
	}{
		{
			"at once",
			[]cdn.Secondary{{Address: at("192.0.2.1:0")}, {Key: "tsig.test"}},
			func(t testing.TB) func(int, *dns.Msg, []byte) []byte {
				t.Helper()
				return func(_ int, q *dns.Msg, _ []byte) []byte { return plain(t, q, dns.RcodeSuccess) }
			},
			[]string{"0s udp 192.0.2.1:53 NOTIFY cdn.test."},
			"1 0 0",
		},
		{
			"with a key, at the third attempt",
			[]cdn.Secondary{{Address: at("192.0.2.1:5353"), Key: "tsig.test"}},
			func(t testing.TB) func(int, *dns.Msg, []byte) []byte {
				t.Helper()
				return func(n int, q *dns.Msg, wire []byte) []byte {
					switch n {
					case 1:
						return nil
					case 2:
						return plain(t, q, dns.RcodeSuccess) // anybody could say that
					}
					return sealed(t, q, wire)
				}
			},
			[]string{"0s udp 192.0.2.1:5353 NOTIFY cdn.test.", "1s udp 192.0.2.1:5353 NOTIFY cdn.test.", "3s udp 192.0.2.1:5353 NOTIFY cdn.test."},
			"1 0 0",
		},
		{
			"refused",
			[]cdn.Secondary{{Address: at("[2001:db8::1]:0")}},
			func(t testing.TB) func(int, *dns.Msg, []byte) []byte {
				t.Helper()
				return func(_ int, q *dns.Msg, _ []byte) []byte { return plain(t, q, dns.RcodeRefused) }
			},
			[]string{"0s udp [2001:db8::1]:53 NOTIFY cdn.test."},
			"0 1 0",
		},
		{
			"never",
			[]cdn.Secondary{{Address: at("192.0.2.1:53")}},
			func(testing.TB) func(int, *dns.Msg, []byte) []byte {
				return func(int, *dns.Msg, []byte) []byte { return nil }
			},
			[]string{
				"0s udp 192.0.2.1:53 NOTIFY cdn.test.", "1s udp 192.0.2.1:53 NOTIFY cdn.test.", "3s udp 192.0.2.1:53 NOTIFY cdn.test.", "7s udp 192.0.2.1:53 NOTIFY cdn.test.",
				"15s udp 192.0.2.1:53 NOTIFY cdn.test.", "31s udp 192.0.2.1:53 NOTIFY cdn.test.", "1m3s udp 192.0.2.1:53 NOTIFY cdn.test.", "2m3s udp 192.0.2.1:53 NOTIFY cdn.test.",
			},
			"0 0 1",
		},
		{"a key that is not there", []cdn.Secondary{{Address: at("192.0.2.1:53"), Key: "unknown.test"}}, nil, nil, "0 0 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &listener{start: time.Now()}
				if test.answer != nil {
					l.answer = test.answer(t)
				}
				registry := prometheus.NewRegistry()
				s := transfer.New(transfer.Config{Keys: keys(t), Registry: registry, Dial: l.dial})
				s.Publish(v1(t, test.secondaries))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := s.Run(ctx); err == nil {
					t.Error("Run has ended without an error, and nobody has ended it")
				}
				if diff := cmp.Diff(test.told, l.all()); diff != "" {
					t.Errorf("notifications (-want +got):\n%s", diff)
				}
				results := strings.Fields(test.results)
				var text strings.Builder
				text.WriteString("# HELP nearcast_scheduler_notified_total Secondaries told of a change, by result: told, refused, or silent after all attempts.\n# TYPE nearcast_scheduler_notified_total counter\n")
				for i, r := range []string{"told", "refused", "silent"} {
					if results[i] != "0" {
						text.WriteString(`nearcast_scheduler_notified_total{result="` + r + `"} ` + results[i] + "\n")
					}
				}
				if err := testutil.GatherAndCompare(registry, strings.NewReader(text.String()), "nearcast_scheduler_notified_total"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A newer change ends telling of the one before; the same version again is not told.
func TestNotifyNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{start: time.Now(), answer: func(int, *dns.Msg, []byte) []byte { return nil }}
		s := transfer.New(transfer.Config{Keys: keys(t), Registry: prometheus.NewRegistry(), Dial: l.dial})
		to := []cdn.Secondary{{Address: netip.MustParseAddrPort("192.0.2.1:53")}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		s.Publish(v1(t, to))
		<-time.After(4 * time.Second) // after three attempts
		s.Publish(v2(t, to))
		<-time.After(1500 * time.Millisecond) // after two
		s.Publish(v2(t, to))
		<-time.After(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"0s", "1s", "3s", "4s", "5s"}
		var got []string
		for _, line := range l.all() {
			got = append(got, strings.Fields(line)[0])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("notifications (-want +got):\n%s", diff)
		}
	})
}
