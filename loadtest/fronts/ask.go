package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How long who asks waits for an answer: where limits of time count, and where other things go on on the machine.
const (
	patience = 2 * time.Second
	forever  = 30 * time.Second
)

func (o *options) patience() time.Duration {
	if o.strict {
		return patience
	}
	return forever
}

// client asks over every front, each on a connection of its own that is kept. It is for one goroutine.
type client struct {
	stage   *stage
	from    netip.Addr // where it asks from; the zero value lets the system choose
	streams map[string]*dns.Conn
	plain   *http.Client
	secure  *http.Client // over HTTP/2
	id      uint16
}

func newClient(s *stage, from netip.Addr) *client {
	c := &client{stage: s, from: from, streams: make(map[string]*dns.Conn)}
	transport := func(h2 bool) *http.Client {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(h2)
		protocols.SetHTTP1(!h2)
		return &http.Client{
			Timeout: s.o.patience(),
			Transport: &http.Transport{
				Protocols: protocols, MaxConnsPerHost: 1, DialContext: c.dialer("tcp").DialContext,
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, //nolint:gosec // the certificate is the test's
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	c.plain, c.secure = transport(false), transport(true)
	return c
}

// dialer dials from the client's address.
func (c *client) dialer(network string) *net.Dialer {
	d := &net.Dialer{Timeout: c.stage.o.patience()}
	switch {
	case !c.from.IsValid():
	case network == "udp":
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
	default:
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
	}
	return d
}

func (c *client) close() {
	for _, conn := range c.streams {
		conn.Close() //nolint:errcheck // nothing is on its way
	}
	c.plain.CloseIdleConnections()
	c.secure.CloseIdleConnections()
}

// question is what is asked in DNS. No subnet: none is told.
func question(name string, typ uint16, subnet netip.Prefix, do bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, typ)
	m.RecursionDesired = false
	m.SetEdns0(1232, do)
	if subnet.IsValid() {
		family := uint16(1)
		if subnet.Addr().Is6() {
			family = 2
		}
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice(), //nolint:gosec // at most 128
		}}
	}
	return m
}

// conn is the connection to a front of DNS that is no HTTP.
func (c *client) conn(ctx context.Context, front string) (*dns.Conn, error) {
	if conn := c.streams[front]; conn != nil {
		return conn, nil
	}
	network, addr := "tcp", c.stage.DNS
	switch front {
	case "udp":
		network = "udp"
	case "dot":
		addr = c.stage.TLS
	}
	nc, err := c.dialer(network).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if front == "dot" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}}) //nolint:gosec // as above
	}
	conn := &dns.Conn{Conn: nc, UDPSize: 4096}
	c.streams[front] = conn
	return conn, nil
}

// exchange asks over a front: udp, tcp, dot, doh-get or doh-post.
func (c *client) exchange(ctx context.Context, front string, m *dns.Msg) (*dns.Msg, error) {
	c.id++
	m.Id = c.id
	if strings.HasPrefix(front, "doh") {
		return c.overHTTPS(ctx, front, m)
	}
	conn, err := c.conn(ctx, front)
	if err != nil {
		return nil, err
	}
	reply, err := talk(conn, m, c.stage.o.patience())
	if err != nil && front != "udp" { // nobody knows what is still to come on it
		conn.Close() //nolint:errcheck // as it says
		delete(c.streams, front)
	}
	return reply, err
}

func talk(conn *dns.Conn, m *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		reply, err := conn.ReadMsg()
		if err != nil {
			return nil, err
		}
		if reply.Id == m.Id { // not a late one
			return reply, nil
		}
	}
}

func (c *client) overHTTPS(ctx context.Context, front string, m *dns.Msg) (*dns.Msg, error) {
	id := m.Id
	m.Id = 0 // RFC 8484 section 4.1
	packet, err := m.Pack()
	m.Id = id
	if err != nil {
		return nil, err
	}
	method, target, content := http.MethodPost, "https://"+c.stage.TLS+"/dns-query", io.Reader(bytes.NewReader(packet))
	if front == "doh-get" {
		method, target, content = http.MethodGet, target+"?dns="+base64.RawURLEncoding.EncodeToString(packet), nil
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/dns-message")
	resp, body, err := fetch(c.secure, req) //nolint:bodyclose // fetch reads all of it and closes it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Content-Type") != "application/dns-message" {
		return nil, fmt.Errorf("%s of %s over %s: %q", resp.Status, resp.Header.Get("Content-Type"), resp.Proto, body)
	}
	reply := new(dns.Msg)
	return reply, reply.Unpack(body)
}

func fetch(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// resolved is what HTTPDNS answers of a host.
type resolved struct {
	Status int          `json:"status"`
	POP    string       `json:"pop"`
	IPs    []netip.Addr `json:"ips"`
	IPv6   []netip.Addr `json:"ipsv6"`
	TTL    int          `json:"ttl"`
	HTTPS  *struct {
		Port uint16   `json:"port"`
		ALPN []string `json:"alpn"`
	} `json:"https"`
	Scope  netip.Prefix `json:"scope"`
	Backup []struct {
		POP string `json:"pop"`
	} `json:"backup"`
}

// resolve asks HTTPDNS.
func (c *client) resolve(ctx context.Context, name, ip string) (*resolved, error) {
	target := "http://" + c.stage.Plain + "/resolve?type=4,6,https&host=" + strings.TrimSuffix(name, ".") + "&ip=" + url.QueryEscape(ip)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, body, err := fetch(c.plain, req) //nolint:bodyclose // fetch reads all of it and closes it
	if err != nil {
		return nil, err
	}
	var answer struct {
		Answers []resolved `json:"answers"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK || len(answer.Answers) != 1 || answer.Answers[0].Status != http.StatusOK {
		return nil, fmt.Errorf("%s: %s (%w)", resp.Status, body, err)
	}
	return &answer.Answers[0], nil
}

// errNoRedirect is an answer that sends the visitor nowhere.
var errNoRedirect = errors.New("no redirect")

// redirected asks the redirecting front in the name of a visitor, and returns to which node's name it is sent.
func (c *client) redirected(ctx context.Context, name, visitor string, secure bool) (host string, err error) {
	via, base := c.plain, "http://"+c.stage.Plain
	if secure {
		via, base = c.secure, "https://"+c.stage.TLS
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/a/b?c", nil)
	if err != nil {
		return "", err
	}
	req.Host = strings.TrimSuffix(name, ".")
	req.Header.Set("X-Forwarded-For", "203.0.113.9, "+visitor)
	resp, body, err := fetch(via, req) //nolint:bodyclose // fetch reads all of it and closes it
	if err != nil {
		return "", err
	}
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound || to.RequestURI() != "/a/b?c" {
		return "", fmt.Errorf("%w: %s to %q: %s", errNoRedirect, resp.Status, resp.Header.Get("Location"), body)
	}
	return to.Hostname(), nil
}
