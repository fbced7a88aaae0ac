package tlscert

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Set is a set of certificates, by the names they are for. It never changes.
type Set struct {
	exact    map[string]*choice // by name
	wild     map[string]*choice // by what follows "*."
	ips      map[netip.Addr]*choice
	first    *choice // the first certificate's
	digest   [sha256.Size]byte
	notAfter time.Time
	warnings []string
}

// choice are the certificates for one name, the one to prefer first.
type choice struct {
	certs  []*held
	digest [sha256.Size]byte // of certs, to bind tickets to
}

// held is a certificate as crypto/tls wants it.
type held struct {
	plain   *tls.Certificate
	stapled *tls.Certificate // nil without a staple
	until   time.Time        // end of the staple's time
	names   names
	expired bool // when it was read
}

// names are the hosts that a certificate is for.
type names struct {
	exact map[string]bool
	wild  map[string]bool // by what follows "*."
	ips   map[netip.Addr]bool
}

// Load reads pairs of files and compiles them. The first pair is what a visitor gets who asks
// for no name, or for one that no certificate is for. The error names every mistake in every
// file; what is no more than doubtful is among the Set's warnings.
func Load(now time.Time, pairs ...Pair) (*Set, error) {
	if len(pairs) == 0 {
		return nil, errors.New("tlscert: no certificates given: name at least one pair of a chain and a key")
	}
	var r report
	all := make([]*held, 0, len(pairs))
	for _, p := range pairs {
		c := readPair(p, now, &r)
		if c == nil {
			continue
		}
		h := hold(c, readStaple(p.staple(), c.chain, now, &r), now)
		h.names = namesOf(c, &r)
		all = append(all, h)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	s := compile(all)
	s.warnings = r.warnings
	return s, nil
}

// hold makes of a certificate what crypto/tls wants, once and not for each handshake.
func hold(c *certificate, s staple, now time.Time) *held {
	plain := &tls.Certificate{PrivateKey: c.key, Leaf: c.leaf()}
	for _, cert := range c.chain {
		plain.Certificate = append(plain.Certificate, cert.Raw)
	}
	h := &held{plain: plain, expired: now.After(c.leaf().NotAfter)}
	if s.der != nil {
		stapled := *plain
		stapled.OCSPStaple = s.der
		h.stapled, h.until = &stapled, s.until
	}
	return h
}

// namesOf returns the names in a certificate's SANs; the subject's common name means nothing
// any more (RFC 9525 section 2). Without any, the report gets an error.
func namesOf(c *certificate, r *report) names {
	n := names{exact: map[string]bool{}, wild: map[string]bool{}, ips: map[netip.Addr]bool{}}
	for _, san := range c.leaf().DNSNames {
		name := fold(san)
		parent, wild := strings.CutPrefix(name, "*.")
		switch {
		case !plainName(name) || strings.Contains(parent, "*"):
			r.warn(c.file, "nobody can be asked for the name %q: only A-labels, and * as the whole first label, match (RFC 9525)", san)
		case wild:
			n.wild[parent] = true
		default:
			n.exact[name] = true
		}
	}
	for _, san := range c.leaf().IPAddresses {
		if ip, ok := netip.AddrFromSlice(san); ok {
			n.ips[ip.Unmap()] = true
		}
	}
	if len(n.exact)+len(n.wild)+len(n.ips) == 0 {
		r.fail(c.file, "the certificate is for no name that a browser looks at: get one with subject alternative names (DNS or IP)")
	}
	return n
}

// plainName reports whether a name in lower case is one of A-labels, perhaps with an asterisk.
func plainName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fold brings a name to the form in which names are compared. It allocates only if there are
// capitals, and leaves alone what is not ASCII: strings.ToLower makes a k of the Kelvin sign.
func fold(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return foldSlow(name)
		}
	}
	return name
}

func foldSlow(name string) string {
	b := []byte(name)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

// covers reports whether the certificate is for a host in the form of fold.
func (n *names) covers(host string) bool {
	if n.exact[host] {
		return true
	}
	if label, parent, ok := strings.Cut(host, "."); ok && label != "" && n.wild[parent] {
		return true
	}
	if ip, ok := parseIP(host); ok {
		return n.ips[ip]
	}
	return false
}

// parseIP parses an address, in brackets or not. It tells a name from one without the
// allocation of an error.
func parseIP(host string) (netip.Addr, bool) {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if host == "" || !strings.Contains(host, ":") && (host[len(host)-1] < '0' || host[len(host)-1] > '9') {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap(), err == nil
}

// compile orders certificates by name.
func compile(all []*held) *Set {
	s := &Set{exact: map[string]*choice{}, wild: map[string]*choice{}, ips: map[netip.Addr]*choice{}}
	for _, h := range all {
		addTo(s.exact, h.names.exact, h)
		addTo(s.wild, h.names.wild, h)
		addTo(s.ips, h.names.ips, h)
		if end := h.plain.Leaf.NotAfter; s.notAfter.IsZero() || end.Before(s.notAfter) {
			s.notAfter = end
		}
	}
	s.first = s.choiceOfFirst(all)
	sealAll(s.exact)
	sealAll(s.wild)
	sealAll(s.ips)
	s.first.seal()
	whole := choice{certs: all}
	whole.seal()
	s.digest = whole.digest
	return s
}

// choiceOfFirst returns the first certificate, and those that are for all its names too: they
// are the same with another kind of key.
func (s *Set) choiceOfFirst(all []*held) *choice {
	first := &choice{certs: all[:1:1]}
	for _, h := range all[1:] {
		if sameNames(&all[0].names, &h.names) {
			first.certs = append(first.certs, h)
		}
	}
	return first
}

func sameNames(a, b *names) bool {
	return within(a.exact, b.exact) && within(a.wild, b.wild) && within(a.ips, b.ips)
}

func within[K comparable](a, b map[K]bool) bool {
	for k := range a {
		if !b[k] {
			return false
		}
	}
	return true
}

func addTo[K comparable](m map[K]*choice, keys map[K]bool, h *held) {
	for k := range keys {
		if m[k] == nil {
			m[k] = &choice{}
		}
		m[k].certs = append(m[k].certs, h)
	}
}

func sealAll[K comparable](m map[K]*choice) {
	for _, c := range m {
		c.seal()
	}
}

// seal orders the certificates, the one to prefer first, and digests them.
func (c *choice) seal() {
	c.certs = slices.Clone(c.certs)
	slices.SortStableFunc(c.certs, func(a, b *held) int { return a.rank() - b.rank() })
	d := sha256.New()
	for _, h := range c.certs {
		sum := sha256.Sum256(h.plain.Certificate[0])
		d.Write(sum[:])
	}
	d.Sum(c.digest[:0])
}

// rank is lower for a certificate that is to be preferred: valid before expired, and ECDSA,
// which signs at a tenth of the cost of RSA, before Ed25519, which no browser takes.
func (h *held) rank() int {
	rank := 2
	switch h.plain.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		rank = 0
	case ed25519.PublicKey:
		rank = 1
	}
	if h.expired {
		rank += 10
	}
	return rank
}

// lookup returns the certificates for a name in the form of fold, or nil.
func (s *Set) lookup(name string) *choice {
	if c := s.exact[name]; c != nil {
		return c
	}
	if label, parent, ok := strings.Cut(name, "."); ok && label != "" {
		if c := s.wild[parent]; c != nil {
			return c
		}
	}
	if len(s.ips) == 0 {
		return nil
	}
	if ip, ok := parseIP(name); ok { // not allowed in SNI (RFC 6066 section 3), and sent all the same
		return s.ips[ip]
	}
	return nil
}

// lookupHello returns the certificates for a ClientHello, or nil if none is for what it asks.
func (s *Set) lookupHello(hello *tls.ClientHelloInfo) *choice {
	if hello.ServerName != "" {
		return s.lookup(fold(hello.ServerName))
	}
	if len(s.ips) == 0 || hello.Conn == nil {
		return nil
	}
	local, ok := hello.Conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	return s.ips[local.AddrPort().Addr().Unmap()] // who connects to an address sends no name
}

// pick returns the certificate for a ClientHello. If strict, there may be none.
func (s *Set) pick(hello *tls.ClientHelloInfo, now time.Time, strict bool) *tls.Certificate {
	c := s.lookupHello(hello)
	if c == nil {
		if strict {
			return nil
		}
		c = s.first
		if len(c.certs) > 1 {
			anonymous := *hello
			anonymous.ServerName = "" // else none would be good enough for it
			hello = &anonymous
		}
	}
	h := c.certs[0]
	if len(c.certs) > 1 {
		if i := slices.IndexFunc(c.certs, func(h *held) bool { return hello.SupportsCertificate(h.plain) == nil }); i > 0 {
			h = c.certs[i]
		}
	}
	if h.stapled != nil && now.Before(h.until) {
		return h.stapled
	}
	return h.plain
}

// digestFor returns what tickets for a name are bound to: the certificates for it. Without a
// name it is all of them, since it is not known here at which address the visitor called.
func (s *Set) digestFor(serverName string) *[sha256.Size]byte {
	if serverName == "" {
		return &s.digest
	}
	if c := s.lookup(fold(serverName)); c != nil {
		return &c.digest
	}
	return &s.first.digest
}

// size is how many names and addresses there is a certificate for.
func (s *Set) size() int { return len(s.exact) + len(s.wild) + len(s.ips) }

// NotAfter returns when the first of the certificates expires.
func (s *Set) NotAfter() time.Time { return s.notAfter }

// Warnings returns what is doubtful about the files, each with the file's name.
func (s *Set) Warnings() []string { return slices.Clone(s.warnings) }
