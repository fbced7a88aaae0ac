package failover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/loadtest/labtest"
)

// frontWorst is the limit of the issue for all fronts, for the p99 of many kills.
const frontWorst = 3 * time.Second

// asker asks one front of a scheduler where visitors of a network go. It returns the addresses, and names of nodes, that the answer has.
type asker func(ctx context.Context, network netip.Prefix) (named []string, err error)

// visitors are networks of all kinds: some that the fleet knows, and so many that it does not that each node is the first for one of them.
func visitors() (networks []netip.Prefix) {
	for _, known := range []string{"127.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"} {
		networks = append(networks, netip.MustParsePrefix(known))
	}
	for i := range 100 {
		networks = append(networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, byte(i), 0}), 24))
	}
	return networks
}

// fronts are those of one scheduler.
func (f *fleet) fronts(t *testing.T, host string) map[string]asker {
	t.Helper()
	client := &http.Client{
		Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	udp, web := net.JoinHostPort(host, fmt.Sprint(f.PortBase+53)), fmt.Sprintf("http://%s:%d", host, f.PortBase+54)
	name := webDomain + "." + string(f.Zone)
	return map[string]asker{
		"DNS": func(ctx context.Context, network netip.Prefix) ([]string, error) {
			m, _, err := new(dns.Client).ExchangeContext(ctx, question(name, network), udp)
			return namedBy(m), err
		},
		"DoH": func(ctx context.Context, network netip.Prefix) ([]string, error) {
			packet, err := question(name, network).Pack()
			if err != nil {
				return nil, err
			}
			_, body, err := fetch(ctx, client, http.MethodPost, web+"/dns-query", packet, "Content-Type", "application/dns-message")
			if err != nil {
				return nil, err
			}
			m := new(dns.Msg)
			if err := errors.Join(m.Unpack(body), missing(m)); err != nil {
				return nil, err
			}
			return namedBy(m), nil
		},
		"HTTPDNS": func(ctx context.Context, network netip.Prefix) ([]string, error) {
			_, body, err := fetch(ctx, client, http.MethodGet, web+"/resolve?type=4&host="+name+"&ip="+url.QueryEscape(network.String()), nil)
			if err != nil {
				return nil, err
			}
			return resolvedBy(body)
		},
		"302": func(ctx context.Context, network netip.Prefix) ([]string, error) {
			resp, _, err := fetch(ctx, client, http.MethodGet, web+"/", nil, "Host", name, "X-Forwarded-For", network.Addr().Next().String())
			if err != nil {
				return nil, err
			}
			to, err := resp.Location()
			if err != nil || resp.StatusCode != http.StatusFound {
				return nil, fmt.Errorf("%s: %w", resp.Status, err)
			}
			node, _, _ := strings.Cut(to.Host, ".")
			return []string{node}, nil
		},
	}
}

func question(name string, network netip.Prefix) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(network.Bits()), Address: network.Addr().AsSlice()}}
	return m
}

func namedBy(m *dns.Msg) (named []string) {
	if m == nil {
		return nil
	}
	for _, record := range m.Answer {
		if a, ok := record.(*dns.A); ok {
			named = append(named, a.A.String())
		}
	}
	return named
}

// missing is an error for an answer without addresses.
func missing(m *dns.Msg) error {
	if len(m.Answer) == 0 {
		return fmt.Errorf("no answer: %v", m)
	}
	return nil
}

// resolvedBy are the addresses of an answer of HTTPDNS, those to fall back on among them.
func resolvedBy(body []byte) (named []string, err error) {
	type place struct {
		IPs []string `json:"ips"`
	}
	var answer struct {
		Answers []struct {
			place
			Backup []place `json:"backup"`
		} `json:"answers"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Answers) != 1 || len(answer.Answers[0].IPs) == 0 {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	named = answer.Answers[0].IPs
	for _, b := range answer.Answers[0].Backup {
		named = append(named, b.IPs...)
	}
	return named, nil
}

func fetch(ctx context.Context, client *http.Client, method, target string, content []byte, fields ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			req.Host = fields[i+1]
		}
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// names reports whether an answer for any of the networks names the node.
func names(ctx context.Context, ask asker, networks []netip.Prefix, node string, addr netip.Addr) (bool, error) {
	for _, network := range networks {
		named, err := ask(ctx, network)
		if err != nil {
			return false, fmt.Errorf("for %s: %w", network, err)
		}
		if slices.Contains(named, node) || slices.Contains(named, addr.String()) {
			return true, nil
		}
	}
	return false, nil
}

// TestFrontsForgetTheDead kills nodes without warning, and asks every front of every scheduler until none names them.
func TestFrontsForgetTheDead(t *testing.T) {
	f := start(t)
	networks := visitors()
	fronts := make(map[string][]asker)
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		for front, ask := range f.fronts(t, host) {
			fronts[front] = append(fronts[front], ask)
		}
	}
	victims := []string{"fra-1", "lon-2", "mad-1", "waw-1", "par-1", "fra-2", "lon-1", "mad-2", "waw-2", "par-2"}
	took := make(map[string][]time.Duration)
	for i := range *kills {
		victim := victims[i%len(victims)]
		addr := netip.MustParseAddrPort(f.Node(t, victim).HTTP).Addr()
		for front, askers := range fronts {
			for j, ask := range askers {
				labtest.Eventually(t, 20*time.Second, fmt.Sprintf("%s of scheduler %d names %s", front, j+1, victim), func() bool {
					there, err := names(t.Context(), ask, networks, victim, addr)
					if err != nil {
						t.Fatalf("%s of scheduler %d: %v", front, j+1, err)
					}
					return there
				})
			}
		}
		f.Kill(t, victim)
		for front, d := range f.forget(t, fronts, networks, victim, addr) {
			took[front] = append(took[front], d)
		}
		f.StartAgain(t, victim)
		labtest.Eventually(t, 20*time.Second, victim+" is back", func() bool { return f.all(cdn.StateReady, f.edges()...) })
	}
	for front, all := range took {
		report(t, "node death -> no answer of "+front+" names it", all, nodeMedian, frontWorst)
	}
}

// forget asks all fronts in a loop until no answer names a node any more, and returns how long each took, of the scheduler that was last.
func (f *fleet) forget(t *testing.T, fronts map[string][]asker, networks []netip.Prefix, victim string, addr netip.Addr) map[string]time.Duration {
	t.Helper()
	killed := time.Now()
	var mu sync.Mutex // guards took
	took := make(map[string]time.Duration)
	var asking sync.WaitGroup
	for front, askers := range fronts {
		for j, ask := range askers {
			asking.Go(func() {
				d, err := untilForgotten(t.Context(), ask, networks, victim, addr, killed)
				if err != nil {
					t.Errorf("%s of scheduler %d: %v", front, j+1, err)
				}
				mu.Lock()
				defer mu.Unlock()
				took[front] = max(took[front], d)
			})
		}
	}
	asking.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return took
}

// untilForgotten returns how long after the node's death the last answer was that named it.
func untilForgotten(ctx context.Context, ask asker, networks []netip.Prefix, victim string, addr netip.Addr, killed time.Time) (time.Duration, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	clean := 0
	var gone time.Duration
	for {
		there, err := names(ctx, ask, networks, victim, addr)
		if err != nil {
			return 0, err
		}
		switch since := time.Since(killed); {
		case there && since > 15*time.Second:
			return since, fmt.Errorf("%s is still named %v after its death", victim, since)
		case there:
			clean = 0
		case clean == 0:
			gone = since
			clean++
		default:
			clean++
		}
		if clean > 3 { // it does not come back
			return gone, nil
		}
		<-tick.C
	}
}
