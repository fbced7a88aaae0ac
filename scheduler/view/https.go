package view

import (
	"encoding/binary"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// httpsPort is where HTTPS is spoken if nobody says otherwise.
const httpsPort = 443

// addServices makes what HTTPS records say of each POP.
func (p *Plan) addServices(fleet *cdn.Fleet) {
	if fleet.HTTPS == nil {
		return
	}
	port := fleet.HTTPS.Port
	if port == 0 {
		port = httpsPort
	}
	p.services, p.alpn = make([][]byte, len(p.POPs)), make([][]string, len(p.POPs))
	for i, site := range p.sites {
		alpn := site.ALPN
		if len(alpn) == 0 {
			alpn = fleet.HTTPS.ALPN
		}
		if len(alpn) == 0 {
			alpn = []string{"h2", "http/1.1"}
		}
		p.services[i], p.alpn[i] = service(alpn, port), alpn
	}
}

// service is the RDATA of an HTTPS record in service mode, for the name itself, without hints of addresses (RFC 9460 section 2.2).
func service(alpn []string, port uint16) []byte {
	rdata := []byte{0, 1, 0} // priority 1, the owner's name
	var ids []byte
	for _, id := range alpn {
		ids = append(append(ids, byte(len(id))), id...)
	}
	rdata = binary.BigEndian.AppendUint16(rdata, rr.KeyALPN)
	rdata = binary.BigEndian.AppendUint16(rdata, uint16(len(ids))) //nolint:gosec // the fleet's compiler bounds it
	rdata = append(rdata, ids...)
	if port != httpsPort {
		rdata = binary.BigEndian.AppendUint16(rdata, rr.KeyPort)
		rdata = binary.BigEndian.AppendUint16(rdata, 2)
		rdata = binary.BigEndian.AppendUint16(rdata, port)
	}
	return rdata
}

// Secure reports whether edge nodes speak HTTPS.
func (p *Plan) Secure() bool { return p.services != nil }

// Service is the RDATA of the HTTPS record of a POP, to which hints of addresses may be appended; nil if there is none. It must not be changed.
func (p *Plan) Service(pop cdn.POPName) []byte {
	if i := p.POP(pop); i >= 0 && p.services != nil {
		return p.services[i]
	}
	return nil
}

// ALPN are the protocols that a POP's nodes speak over TLS, the preferred one first; nil if they do not. They must not be changed.
func (p *Plan) ALPN(pop cdn.POPName) []string {
	if i := p.POP(pop); i >= 0 && p.alpn != nil {
		return p.alpn[i]
	}
	return nil
}
