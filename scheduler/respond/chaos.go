package respond

import (
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
)

// chaos tells who this is (RFC 4892), as far as that is to be known.
func (x *exchange) chaos() {
	x.rcode = dnswire.Refused
	if x.query.Type != rr.TypeTXT && x.query.Type != rr.TypeANY {
		return
	}
	x.name = dnswire.Lower(x.lower[:0], x.query.Name)
	said := ""
	switch string(x.name) {
	case "\x07version\x04bind\x00", "\x07version\x06server\x00":
		said = x.state.Settings.Version
	case "\x02id\x06server\x00", "\x08hostname\x04bind\x00":
		said = string(x.responder.cfg.Node)
	}
	if said == "" {
		return
	}
	x.rcode, x.aa = 0, true
	said = said[:min(len(said), 255)]
	data := [][]byte{append([]byte{byte(len(said))}, said...)}
	x.reply.add(item{section: dnswire.Answer, set: rr.Set{Type: rr.TypeTXT, Data: data}})
}
