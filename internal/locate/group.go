package locate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"nearcast/cdn"
)

// Lengths of the prefixes by which visitors are told apart at most: what a resolver says about a client is no finer, and all of one
// network should meet in the same caches.
const (
	NetworkBits4 = 24
	NetworkBits6 = 48
)

// Network returns the visitor's network, an IPv4 /24 or an IPv6 /48, or false for no address.
func Network(addr netip.Addr) (netip.Prefix, bool) {
	addr = addr.Unmap().WithZone("")
	bits := NetworkBits6
	if addr.Is4() {
		bits = NetworkBits4
	}
	p, err := addr.Prefix(bits)
	return p, err == nil && p.IsValid()
}

// NetworkGroup names the group that is one network alone.
func NetworkGroup(network netip.Prefix) cdn.GroupName {
	return cdn.GroupName("net " + network.String())
}

// NetworkOf is the inverse of [NetworkGroup]; false for other groups.
func NetworkOf(name cdn.GroupName) (netip.Prefix, bool) {
	text, ok := strings.CutPrefix(string(name), "net ")
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() || p.Addr().Is4In6() || p.String() != text {
		return netip.Prefix{}, false
	}
	return p, true
}

// Group names the group of all visitors of a place: carrier and country, and region and city as far as they are known, else
// coordinates to a tenth of a degree.
func (p *Place) Group() cdn.GroupName {
	var b strings.Builder
	b.WriteString("place ")
	b.WriteString(p.Carrier())
	b.WriteByte('/')
	b.WriteString(p.Location.Country)
	switch {
	case p.City != "":
		b.WriteString("/" + p.Region + "/" + p.City)
	case p.Coordinates == Given:
		fmt.Fprintf(&b, "/%.1f,%.1f", p.Location.Latitude, p.Location.Longitude)
	case p.Region != "":
		b.WriteString("/" + p.Region)
	}
	return cdn.GroupName(strings.ToValidUTF8(b.String(), "\uFFFD")) // as it is when it has been through JSON
}

// Carrier is the visitor's autonomous system, such as AS64500, or else the ISP's name; "-" if unknown.
func (p *Place) Carrier() string {
	switch {
	case p.ASN != 0:
		return "AS" + strconv.FormatUint(uint64(p.ASN), 10)
	case p.ISP != "":
		return p.ISP
	}
	return "-"
}

// Carries reports whether an ISP is the visitor's carrier: by its name, without regard to letter case, or as AS64500.
func (p *Place) Carries(isp string) bool {
	if isp == "" {
		return false
	}
	if strings.EqualFold(isp, p.ISP) {
		return true
	}
	return p.ASN != 0 && len(isp) > 2 && strings.EqualFold(isp[:2], "AS") && isp[2:] == strconv.FormatUint(uint64(p.ASN), 10)
}
